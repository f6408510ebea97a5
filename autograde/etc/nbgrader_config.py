"""Hand nbgrader and JupyterLab the course's settings, wherever they are started."""

from autograde import nbgrader_config

c = get_config()  # noqa: F821  # type: ignore[name-defined]
nbgrader_config.configure(c)
