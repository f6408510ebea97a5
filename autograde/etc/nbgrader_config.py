"""Hand nbgrader and JupyterLab the course's settings, wherever they are started."""

from pathlib import Path

from jupyter_core.paths import jupyter_config_path

from autograde import nbgrader_config

c = get_config()  # type: ignore[name-defined]  # noqa: F821
nbgrader_config.configure(c)

# Jupyter ranks an environment's settings above the machine's, and above those of the person who
# owns the environment. What these say about their exchange or their course is meant all the same.
for folder in reversed(jupyter_config_path()):
    if Path(folder) != Path(__file__).parent:
        load_subconfig("nbgrader_config.py", folder)  # type: ignore[name-defined]  # noqa: F821
