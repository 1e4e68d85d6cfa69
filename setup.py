"""Build step of mmxclip; everything that can be said as data stands in pyproject.toml.

``mim`` looks for configs, tools and the model index of a package under
``<package>/.mim``. A wheel gets a copy of them. An editable install gets links
in the checkout, and beside it, in site-packages, where ``mim`` looks first,
one small file for each that points back into the checkout.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PACKAGE = 'mmxclip'
MIM_ENTRIES = ('configs', 'tools', 'model-index.yml')
LEFT_OUT = shutil.ignore_patterns('__pycache__', '*.pyc', '.*')


def config_stub(source: Path) -> str:
    """Return a config file that inherits all it says from the one at ``source``."""
    return f'_base_ = {source.as_posix()!r}\n'


def tool_stub(source: Path) -> str:
    """Return a script that runs the one at ``source`` as the main program.

    The guard keeps a spawned data loader worker, which imports the main
    program again, from starting the tool a second time.
    """
    return (
        f"if __name__ == '__main__':\n"
        f'    import runpy\n\n'
        f"    runpy.run_path({source.as_posix()!r}, run_name='__main__')\n"
    )


class BuildWithMim(build_py):
    """``build_py`` that also fills ``mmxclip/.mim``."""

    def run(self) -> None:
        """Build the package, then the folder that ``mim`` reads."""
        if self.editable_mode:
            super().run()
            self.link_in_checkout()
            self.write_stubs()
            return
        # A reused build folder still holds files that have been renamed or
        # deleted since; ``mim`` refuses a config that it finds twice.
        shutil.rmtree(Path(self.build_lib) / PACKAGE, ignore_errors=True)
        super().run()
        self.copy_to_build()

    def copy_to_build(self) -> None:
        """Copy the entries of ``.mim`` into the tree that becomes the wheel."""
        target = Path(self.build_lib) / PACKAGE / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in MIM_ENTRIES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=LEFT_OUT)
            else:
                shutil.copy2(source, target / name)

    def link_in_checkout(self) -> None:
        """Link the entries of ``.mim`` in the checkout, where ``module.__path__`` points."""
        folder = ROOT / PACKAGE / '.mim'
        folder.mkdir(exist_ok=True)
        for name in MIM_ENTRIES:
            link = folder / name
            if link.is_symlink() or link.is_file():
                link.unlink()
            elif link.is_dir():
                shutil.rmtree(link)
            try:
                link.symlink_to(os.path.join('..', '..', name))
            except OSError:  # Windows allows links to administrators only
                (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, link)

    def write_stubs(self) -> None:
        """Write, into the editable wheel, one stub for each config and tool of the checkout.

        They land in ``site-packages/mmxclip/.mim``, listed in RECORD, so that
        an uninstall removes them. A config added later is found by name only
        after the next install; by path it is found at once.
        """
        site = Path(self.distribution.get_command_obj('install').install_purelib)
        stubs = {'configs': config_stub, 'tools': tool_stub}
        for name in MIM_ENTRIES:
            for source in (
                sorted((ROOT / name).rglob('*')) if (ROOT / name).is_dir() else [ROOT / name]
            ):
                relative = source.relative_to(ROOT)
                if not source.is_file() or '__pycache__' in source.parts:
                    continue
                target = site / PACKAGE / '.mim' / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.suffix == '.py' and name in stubs:
                    target.write_text(stubs[name](source), encoding='utf-8')
                else:
                    shutil.copy2(source, target)


# ``package_dir`` makes an editable install put the checkout itself on
# ``sys.path``. With the default, an import hook, the stub folder in
# site-packages would be taken for the package and hide it.
setup(cmdclass={'build_py': BuildWithMim}, package_dir={'': '.'})
