"""Settle what holds for every test."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    # A shell that runs this in the background lets it ignore Ctrl-C, and all that it starts too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def missed_browser_tests(config: pytest.Config) -> list[str]:
    """Return the browser tests that were skipped although REQUIRE_BROWSER is set."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    missed = [report.nodeid for report in reports if report.nodeid.startswith("tests/browser/")]
    return missed if os.environ.get("REQUIRE_BROWSER") else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if missed_browser_tests(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missed = missed_browser_tests(terminalreporter.config)
    if missed:
        terminalreporter.section("REQUIRE_BROWSER is set, and these were skipped", red=True)
    for nodeid in missed:
        terminalreporter.write_line(nodeid)
