"""Hand nbgrader and JupyterLab the course's settings, wherever they are started."""

from autograde import nbgrader_config

c = get_config()  # type: ignore[name-defined]  # noqa: F821
nbgrader_config.configure(c)
