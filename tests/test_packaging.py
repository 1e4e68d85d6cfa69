"""What a wheel and an editable install hold, and that mim, which reads them, finds it all."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from email.parser import Parser
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    *('mmxclip', 'configs', 'tools', 'setup.py', 'pyproject.toml', 'MANIFEST.in'),
    *('model-index.yml', 'LICENSE', 'NOTICE', 'README.md', 'CITATION.cff', 'CHANGELOG.md'),
]
TINY_RUN = Path(__file__).parent / 'tools' / 'tiny_run'
BUILT = shutil.ignore_patterns('build', 'dist', '*.egg-info', '__pycache__', '.mim')
DATA = ('.csv', '.txt', '.json', '.safetensors')


def copy_sources(target: Path) -> Path:
    """Copy what a build reads to ``target``, so that no build writes into the checkout."""
    target.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns('__pycache__', '.mim')
            shutil.copytree(source, target / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, target / name)
    return target


def build(sources: Path, kind: str = 'wheel') -> Path:
    """Build ``sources`` by the hook that pip calls, with the setuptools that is here."""
    out = sources / 'dist'
    out.mkdir(exist_ok=True)
    hook = f'from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})'
    subprocess.run([sys.executable, '-c', hook], cwd=sources, check=True, capture_output=True)
    (wheel,) = out.glob('*.tar.gz' if kind == 'sdist' else '*.whl')
    return wheel


def files_below(folder: Path) -> set[str]:
    """Return the paths of the files below ``folder``, relative to its parent."""
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


@pytest.fixture(scope='module')
def sources(tmp_path_factory) -> Path:
    """Return a copy of the checkout, with one more config: a run that takes a second."""
    sources = copy_sources(tmp_path_factory.mktemp('wheel') / 'mmxclip-src')
    shutil.copy(TINY_RUN / 'tiny_tsn.py', sources / 'configs')
    return sources


@pytest.fixture(scope='module')
def wheel(sources) -> Path:
    return build(sources)


@pytest.fixture(scope='module')
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope='module')
def metadata(wheel) -> dict:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> tuple[Path, Path]:
    """Return the checkout and the folder that stands for site-packages."""
    checkout = copy_sources(tmp_path_factory.mktemp('editable') / 'checkout')
    site = checkout.parent / 'site-packages'
    with zipfile.ZipFile(build(checkout, 'editable')) as archive:
        archive.extractall(site)
    return checkout, site


@pytest.fixture(scope='module')
def index():
    modelindex = pytest.importorskip('modelindex.load_model_index')
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    return index


class TestWheel:
    @pytest.mark.parametrize('entry', ['configs', 'tools'])
    def test_mim_folder_holds_every_file(self, sources, names, entry):
        expected = {f'mmxclip/.mim/{name}' for name in files_below(sources / entry)}
        assert expected
        assert {name for name in names if name.startswith(f'mmxclip/.mim/{entry}/')} == expected
        assert 'mmxclip/.mim/model-index.yml' in names

    def test_every_module_and_data_file_is_there(self, sources, names):
        expected = {
            name
            for name in files_below(sources / 'mmxclip')
            if name.endswith(('.py', 'py.typed', *DATA))
        }
        packaged = {name for name in names if name.startswith('mmxclip/')}
        assert packaged - {name for name in names if '/.mim/' in name} == expected

    def test_nothing_stands_beside_the_package(self, names):
        """A folder ``configs`` in site-packages breaks mim for every package."""
        assert {name.split('/')[0] for name in names} == {
            'mmxclip',
            next(name.split('/')[0] for name in names if '.dist-info/' in name),
        }

    def test_licence_texts(self, names):
        licences = {name.rsplit('/', 1)[-1] for name in names if '/licenses/' in name}
        assert licences == {'LICENSE', 'NOTICE'}

    def test_files_removed_since_the_last_build_are_gone(self, tmp_path):
        sources = copy_sources(tmp_path / 'src')
        old = sources / 'configs' / 'some_old_name.py'
        old.write_text('')
        build(sources)
        old.rename(old.with_name('some_new_name.py'))
        (sources / 'mmxclip' / 'labels' / '__init__.py').unlink()
        with zipfile.ZipFile(build(sources)) as archive:
            names = archive.namelist()
        assert 'mmxclip/.mim/configs/some_new_name.py' in names
        assert 'mmxclip/.mim/configs/some_old_name.py' not in names
        assert 'mmxclip/labels/__init__.py' not in names


class TestMetadata:
    def test_full_mmcv_is_never_overwritten(self, metadata):
        lite = [line for line in metadata.get_all('Requires-Dist') if line.startswith('mmcv')]
        assert len(lite) == 1
        assert 'extra == "all"' in lite[0]

    @pytest.mark.parametrize('extra', ['all', 'test', 'lint'])
    def test_extras(self, metadata, extra):
        assert extra in metadata.get_all('Provides-Extra')

    def test_version_is_that_of_the_package(self, metadata):
        import mmxclip

        assert metadata['Version'] == mmxclip.__version__

    def test_versions_here_are_within_the_bounds(self, metadata):
        """The bounds and what the tests run with must not drift apart."""
        from importlib.metadata import version

        from packaging.requirements import Requirement

        checked = 0
        for line in metadata.get_all('Requires-Dist'):
            requirement = Requirement(line)
            if requirement.marker is None:
                assert requirement.specifier.contains(version(requirement.name), True), line
                checked += 1
        assert checked >= 7


class TestEditable:
    def test_path_file_names_the_checkout(self, installed):
        """An import hook in its place would let the stub folder hide the package."""
        checkout, site = installed
        (path_file,) = site.glob('*.pth')
        assert path_file.read_text().strip() == str(checkout)

    def test_checkout_is_linked(self, installed):
        checkout, _ = installed
        for name in ('configs', 'tools', 'model-index.yml'):
            link = checkout / 'mmxclip' / '.mim' / name
            assert link.resolve() == checkout / name
            assert not os.path.isabs(os.readlink(link))  # survives a move of the checkout

    @pytest.mark.parametrize('entry', ['configs', 'tools'])
    def test_every_file_has_its_stub(self, installed, entry):
        checkout, site = installed
        stubs = files_below(site / 'mmxclip' / '.mim' / entry)
        assert stubs == files_below(checkout / entry)

    def test_stub_of_a_config_reads_the_checkout(self, installed):
        checkout, site = installed
        changed = checkout / 'configs' / '_base_' / 'default_runtime.py'
        changed.write_text(changed.read_text().replace("'INFO'", "'DEBUG'"))
        stub = site / 'mmxclip' / '.mim' / 'configs' / '_base_' / 'default_runtime.py'
        assert Config.fromfile(stub).log_level == 'DEBUG'

    @pytest.mark.parametrize('tool', ['train', 'test'])
    def test_stub_of_a_tool_runs_the_checkout(self, installed, tool):
        checkout, site = installed
        source = checkout / 'tools' / f'{tool}.py'
        source.write_text(source.read_text().replace("description='", "description='In place. "))
        stub = site / 'mmxclip' / '.mim' / 'tools' / f'{tool}.py'
        answer = subprocess.run([sys.executable, stub, '-h'], capture_output=True, text=True)
        assert answer.returncode == 0
        assert 'In place.' in answer.stdout


def test_source_distribution_builds_the_same_wheel(sources, names, tmp_path):
    archive = build(shutil.copytree(sources, tmp_path / 'src', ignore=BUILT), 'sdist')
    shutil.unpack_archive(archive, tmp_path / 'unpacked')
    (unpacked,) = (tmp_path / 'unpacked').iterdir()
    with zipfile.ZipFile(build(unpacked)) as rebuilt:
        assert set(rebuilt.namelist()) == names


def test_mim_finds_every_config_once():
    """``mim train mmxclip NAME`` searches the whole package by base name and refuses doubles."""
    configs = [path.name for path in (ROOT / 'configs').rglob('*.py')]
    others = [path.name for top in ('mmxclip', 'tools') for path in (ROOT / top).rglob('*.py')]
    assert configs
    doubles = {name for name, number in Counter(configs + others).items() if number > 1}
    assert not doubles & set(configs)


def test_no_script_of_the_package_hides_a_tool():
    """``mim test`` prefers ``mmxclip/tools/test.py`` to ``mmxclip/.mim/tools/test.py``."""
    assert not (ROOT / 'mmxclip' / 'tools').exists()
    assert not (ROOT / 'mmxclip' / 'demo').exists()


class TestModelIndex:
    """``mim`` and MMEngine check an entry of a metafile only when it is used."""

    def test_loads_without_complaint(self, index):
        assert index.check(silent=True) in (None, [])
        assert len(index.models) > 0

    def test_configs_and_readmes_exist(self, index):
        for model in index.models:
            assert (ROOT / model.config).is_file(), model.name

    def test_every_config_is_listed_by_its_own_name(self, index):
        """Inferencers look models up by name, so it is the one that people know."""
        assert {model.name: Path(model.config).stem for model in index.models} == {
            path.stem: path.stem for path in (ROOT / 'configs').glob('*.py')
        }

    def test_mmengine_finds_a_model_by_name(self):
        from mmengine.config import Config
        from mmengine.infer.infer import BaseInferencer

        import mmxclip  # noqa: F401

        class Finder(BaseInferencer):
            preprocess = postprocess = visualize = _init_pipeline = lambda self: None

        finder = Finder.__new__(Finder)
        finder.scope = 'mmxclip'
        config, weights = finder._load_model_from_metafile('xclip_tiny_motion')
        assert isinstance(config, Config)
        assert config.model.type == 'XCLIP'
        assert weights is None


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory) -> Path:
    """Return the interpreter of an environment with the wheel, its dependencies lent from here."""
    folder = tmp_path_factory.mktemp('environment') / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    python = folder / 'bin' / 'python'
    site = next((folder / 'lib').glob('python*/site-packages'))
    # paths in a .pth file are not searched for further ones, so an editable
    # install of mmxclip over there stays unseen
    lent = [path for path in sys.path if Path(path).name in ('site-packages', 'dist-packages')]
    (site / 'lent.pth').write_text('\n'.join(lent))
    pip = [sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps', wheel]
    subprocess.run(pip, check=True)
    return python


@pytest.fixture
def mim(python, tmp_path):
    """Return a function that runs ``mim`` there, in an empty folder."""
    environment = {**os.environ, 'PYTHONPATH': str(TINY_RUN), 'OMP_NUM_THREADS': '1'}

    def run(*args: object, succeeds: bool = True) -> str:
        done = subprocess.run(
            [python, '-m', 'mim', *map(str, args)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        told = done.stdout + done.stderr
        assert (done.returncode == 0) == succeeds, told
        return told

    return run


class TestMim:
    """What ``mim`` does with the installed wheel, from an empty folder."""

    def test_wheel_is_what_runs(self, python, tmp_path):
        code = 'import mmxclip; print(mmxclip.__file__)'
        where = subprocess.run([python, '-c', code], cwd=tmp_path, capture_output=True, text=True)
        assert Path(where.stdout.strip()).is_relative_to(python.parents[1]), where.stderr

    def test_configs_inherit_by_the_name_of_the_package(self, python, tmp_path):
        (tmp_path / 'own.py').write_text("_base_ = 'mmxclip::_base_/default_runtime.py'")
        code = "import mmxclip, mmengine; print(mmengine.Config.fromfile('own.py').default_scope)"
        told = subprocess.run([python, '-c', code], cwd=tmp_path, capture_output=True, text=True)
        assert told.stdout == 'mmaction\n', told.stderr

    def test_train_and_test_by_name(self, mim, python, tmp_path):
        told = mim('train', 'mmxclip', 'tiny_tsn.py')
        assert str(python.parents[1]) in told  # the config and the script that were found
        assert 'mmxclip: validation after epoch 1: acc/top1 ' in told
        checkpoint = tmp_path / 'work_dirs' / 'tiny_tsn' / 'epoch_1.pth'
        told = mim('test', 'mmxclip', 'tiny_tsn.py', '--checkpoint', checkpoint)
        assert f'mmxclip: test of {checkpoint}: acc/top1 ' in told

    @pytest.mark.slow
    def test_motion_task_by_name(self, mim, tmp_path):
        """Videos, class names and starting weights all come out of the wheel."""
        few = [f'{part}_dataloader.dataset.num_videos=40' for part in ('train', 'val', 'test')]
        options = ('--cfg-options', 'train_cfg.max_epochs=1', *few)
        told = mim('train', 'mmxclip', 'xclip_tiny_motion.py', *options)
        assert 'mmxclip: validation after epoch 1: acc/top1 ' in told
        assert list((tmp_path / 'data' / 'motion').rglob('*.mp4'))
        checkpoint = tmp_path / 'work_dirs' / 'xclip_tiny_motion' / 'epoch_1.pth'
        args = ('mmxclip', 'xclip_tiny_motion_zeroshot.py', '--checkpoint', checkpoint)
        told = mim('test', *args, '--cfg-options', few[2])
        assert f'mmxclip: test of {checkpoint}: acc/top1 ' in told

    def test_run(self, mim):
        """``mim`` keeps ``-h`` to itself, so that the tool is heard by its complaint."""
        told = mim('run', 'mmxclip', 'train', 'absent.py', succeeds=False)
        assert "mmxclip: error: config 'absent.py' is no file" in told

    @pytest.mark.slow
    def test_gridsearch(self, mim, tmp_path):
        search = '--optim_wrapper.optimizer.lr 0.01 0.02'
        mim(
            *('gridsearch', 'mmxclip', 'tiny_tsn.py'), '--work-dir', 'grid', '--search-args', search
        )
        rates = sorted(
            Config.fromfile(path, import_custom_modules=False).optim_wrapper.optimizer.lr
            for path in tmp_path.glob('grid*/tiny_tsn_search_*.py')
        )
        assert rates == [0.01, 0.02]

    def test_search(self, mim):
        told = mim('search', 'mmxclip')
        for path in (ROOT / 'configs').glob('xclip_*.py'):
            assert path.stem in told
