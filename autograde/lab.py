"""Open JupyterLab on the first lesson."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import zmq

__all__ = ["choose_arguments", "has_screen", "main"]

ROOT = Path(__file__).resolve().parent.parent
FIRST_LESSON = "notebooks/00-start-here.ipynb"
ADVICE = (
    "No screen here: open the address below in a browser (over ssh, forward its port first, "
    "as in `ssh -L 8888:localhost:8888 …`)."
)


def has_screen(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a browser started here would be seen by the person who typed the command."""
    if "SSH_CONNECTION" in environment:
        return False
    return platform != "linux" or bool(
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    )


def choose_arguments(environment: Mapping[str, str], *, is_root: bool) -> list[str]:
    """Return the command line; what is logged below an error is of no use to a learner."""
    arguments = [
        f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}",
        "--ServerApp.log_level=ERROR",
        "--LabApp.log_level=ERROR",
    ]
    # Without it each kernel warns that it has none; where there is no curve, it ends JupyterLab.
    if zmq.has("curve"):
        arguments.append("--KernelManager.transport_encryption=auto")
    if is_root:
        arguments.append("--allow-root")
    if not has_screen(environment):
        arguments.append("--no-browser")
    return [sys.executable, "-m", "jupyterlab", *arguments]


def main() -> None:
    """Become JupyterLab; its terminals and kernels find the environment's own commands first."""
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    if not has_screen(environment):
        print(ADVICE, flush=True)
    os.chdir(ROOT)
    command = choose_arguments(environment, is_root=os.geteuid() == 0)
    os.execve(command[0], [*command, *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
