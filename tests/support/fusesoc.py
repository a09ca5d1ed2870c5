"""FuseSoC as its users start it."""

import os
import subprocess
import sys

__all__ = ["fusesoc"]


def fusesoc(cores, target, folder, *options):
    """Run a target of the only core in the folder `cores`, working in `folder`; exit code and all that is said."""
    core, = cores.glob("*.core")
    # What it knows of its user is not to matter, nor to be changed.
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", "from fusesoc.main import main; main()", "--cores-root", cores, "run", "--target", target,
         *options, f"::{core.stem}"], cwd=folder, env=os.environ | home, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
