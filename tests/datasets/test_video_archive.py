"""Archives of videos: what is found in them, and each way in which one can be bad."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmxclip.datasets import archive_index, video_archive
from mmxclip.datasets.archive_index import places
from mmxclip.datasets.video_archive import Archive, locate, split
from mmxclip.errors import DataError

CONTENT = {'run/a.mp4': b'running' * 300, 'jump/b c.mp4': b'jump', 'jump/ünï.webm': b'u' * 513}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(video_archive, '_known', {})


def write_tar(path: Path, content: dict[str, bytes], **kwargs) -> Path:
    with tarfile.open(path, 'w', **kwargs) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def read(path: str) -> bytes:
    """The bytes that a decoder is given."""
    from mmxclip.datasets.decoder_process import inflated

    source = json.loads(json.dumps(locate(path)))  # it goes through a pipe
    if source['inflated'] is not None:
        with inflated(source) as copy:
            return os.pread(copy.fileno(), 1 << 20, 0)
    with open(source['archive'], 'rb') as file:
        file.seek(source['offset'])
        return file.read(source['size'])


MAKERS = {
    'v.tar': write_tar,
    'gnu.tar': lambda *args: write_tar(*args, format=tarfile.GNU_FORMAT),
    'ustar.tar': lambda *args: write_tar(*args, format=tarfile.USTAR_FORMAT),
    'stored.zip': write_zip,
    'deflated.zip': lambda *args: write_zip(*args, zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize('name', MAKERS)
def test_members_are_read_as_they_are(tmp_path, name):
    MAKERS[name](tmp_path / name, CONTENT)
    for member, data in CONTENT.items():
        assert read(f'{tmp_path}/{name}/{member}') == data
        assert read(f'{tmp_path}/{name}/{Path(member).name}') == data  # by base name
        assert read(f'{tmp_path}/{name}/videos/{member}') == data  # of a list with longer paths
    with pytest.raises(DataError, match=rf"{name} has no member 'run/b\.mp4'; check data_prefix"):
        locate(f'{tmp_path}/{name}/run/b.mp4')
    with pytest.raises(DataError, match=r"no member 'swim/a\.mp4' \(there is 'run/a\.mp4'\)"):
        locate(f'{tmp_path}/{name}/swim/a.mp4')


@pytest.mark.parametrize('name', MAKERS)
def test_flat_archives_and_archives_with_a_folder_more(tmp_path, name):
    flat = MAKERS[name](tmp_path / name, {'a.mp4': b'a', './b.mp4': b'b', 'x/y/c.mp4': b'c'})
    assert read(f'{flat}/a.mp4') == read(f'{flat}/run/a.mp4') == b'a'
    assert read(f'{flat}/b.mp4') == read(f'{flat}/./b.mp4') == read(f'{flat}//b.mp4') == b'b'
    assert read(f'{flat}/y/c.mp4') == b'c'


@pytest.mark.parametrize('name', ['v.tar', 'stored.zip'])
def test_base_names_that_are_not_unique(tmp_path, name):
    content = {
        'x/run/1.mp4': b'a',
        'x/jump/1.mp4': b'b',
        '1.mp4': b'c',
        'x/hop/2.mp4': b'd',
        'y/hop/2.mp4': b'e',
    }
    path = MAKERS[name](tmp_path / name, content)
    assert read(f'{path}/run/1.mp4') == b'a'
    assert read(f'{path}/1.mp4') == b'c'  # a member's own path comes first
    with pytest.raises(
        DataError, match=r"2 members .* 'hop/2\.mp4': 'x/hop/2\.mp4' and 'y/hop/2\.mp4'; give the"
    ):
        locate(f'{path}/hop/2.mp4')


def test_names_that_lead_out_of_the_archive_are_names_only(tmp_path, monkeypatch):
    (tmp_path / 'folder').mkdir()
    content = {'../secret.mp4': b'1', '/etc/passwd': b'2', 'a/../../up.mp4': b'3'}
    path = write_tar(tmp_path / 'folder' / 'v.tar', content)
    (tmp_path / 'folder' / 'secret.mp4').write_bytes(b'outside')
    assert read(f'{path}/../secret.mp4') == b'1'
    assert read(f'{path}//etc/passwd') == read(f'{path}/etc/passwd') == b'2'
    assert read(f'{path}/up.mp4') == b'3'
    with pytest.raises(DataError, match=r"no member '\.\./folder/secret\.mp4'"):
        locate(f'{path}/../folder/secret.mp4')
    written = {p.name for p in tmp_path.rglob('*') if p.is_file()}
    assert written == {'v.tar', 'secret.mp4', 'v.tar.index.npz'}


def test_links_count_within_the_archive_only(tmp_path):
    outside = tmp_path / 'outside.mp4'
    outside.write_bytes(b'outside')
    path = tmp_path / 'v.tar'
    with tarfile.open(path, 'w') as archive:
        for name, kind, target in (
            ('hard.mp4', tarfile.LNKTYPE, 'run/a.mp4'),
            ('run/soft.mp4', tarfile.SYMTYPE, 'a.mp4'),
            ('out.mp4', tarfile.SYMTYPE, str(outside)),
            ('up.mp4', tarfile.SYMTYPE, '../outside.mp4'),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo('run/a.mp4')
        info.size = 3
        archive.addfile(info, io.BytesIO(b'abc'))
    assert read(f'{path}/hard.mp4') == read(f'{path}/run/soft.mp4') == b'abc'
    for name in ('out.mp4', 'up.mp4'):
        with pytest.raises(DataError, match=f"no member '{name}'"):
            locate(f'{path}/{name}')


def test_the_last_of_two_members_with_one_name_counts(tmp_path):
    path = write_tar(tmp_path / 'v.tar', {'a.mp4': b'old'})
    with tarfile.open(path, 'a') as archive:
        info = tarfile.TarInfo('a.mp4')
        info.size = 3
        archive.addfile(info, io.BytesIO(b'new'))
    assert read(f'{path}/a.mp4') == b'new'


def test_long_names(tmp_path):
    name = '/'.join(['folder' * 10] * 5) + '/a.mp4'
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = write_tar(tmp_path / f'{kind}.tar', {name: b'a'}, format=kind)
        assert read(f'{path}/{name}') == b'a'


@pytest.mark.parametrize('ending', ['.tar', '.zip', '.tar.gz', '.tgz', '.TAR'])
def test_what_is_an_archive(tmp_path, ending):
    path = f'{tmp_path}/v{ending}'
    assert split(f'{path}/run/a.mp4') is None  # no such file
    Path(path).touch()
    assert split(f'{path}/run/a.mp4') == (path, 'run/a.mp4')
    assert split(path) is None
    assert split(f'{tmp_path}/v.mp4/a.mp4') is None


def test_folders_that_are_called_like_archives(tmp_path):
    folder = tmp_path / 'v.tar' / 'w.zip'
    folder.mkdir(parents=True)
    assert locate(f'{folder}/a.mp4') is None
    path = write_tar(folder / 'x.tar', CONTENT)
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']


# what is bad about an archive, and what is said


def cut(path: Path, size: int) -> Path:
    """``path`` with its first ``size`` bytes only, counted from its end if below 0."""
    data = path.read_bytes()
    path.write_bytes(data[:size])
    return path


def patched(path: Path, offset: int, data: bytes) -> Path:
    whole = bytearray(path.read_bytes())
    whole[offset : offset + len(data)] = data
    path.write_bytes(whole)
    return path


def cut_tar(size: int):
    """Makes a tar that ends after ``size`` bytes."""
    return lambda path: cut(write_tar(path, CONTENT), size)


def without_table(path: Path) -> Path:
    """A zip with something else where the table of its files begins."""
    data = write_zip(path, CONTENT).read_bytes()
    return patched(path, data.index(b'PK\1\2'), b'PKxx')


def compressed(path: Path) -> Path:
    path.write_bytes(gzip.compress(write_tar(path, CONTENT).read_bytes()))
    return path


def backwards(path: Path) -> Path:
    """A tar whose first member has a size below 0, which older Pythons read for ever."""
    info = tarfile.TarInfo('a.mp4')
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b'\xff' * 10 + b'\xfe\x00'
    header[148:156] = b' ' * 8
    header[148:156] = b'%06o\0 ' % sum(header)
    path.write_bytes(bytes(header) + bytes(1024))
    return path


BAD = {
    'empty.tar': (lambda p: p.touch() or p, 'archive .* is empty; copy it again'),
    'text.tar': (
        lambda p: p.write_text('no archive' * 99) and p,
        r'is neither a tar nor a zip \(.+\)',
    ),
    'short.tar': (lambda p: p.write_bytes(b'abc') and p, r'is neither a tar nor a zip \(.+\)'),
    'no_files.tar': (lambda p: write_tar(p, {}), 'holds no files'),
    'no_files.zip': (lambda p: write_zip(p, {}), 'holds no files'),
    'gzip.tar': (compressed, 'is compressed with gzip, .*; unpack it to a plain .tar'),
    'gzip.tar.gz': (compressed, 'is compressed with gzip'),
    # the first member takes 512 + 2560 bytes: cut after it, in the next header, in its content
    'member.tar': (cut_tar(3072), r'after 1 files.*its end is missing'),
    'header.tar': (cut_tar(3272), r'after 1 files, about byte 3072'),
    'content.tar': (cut_tar(600), r'cut short or damaged after 1 files'),
    'first.tar': (cut_tar(300), r'neither a tar nor a zip \(.+\)'),
    'garbage.tar': (
        lambda p: patched(write_tar(p, CONTENT), 3072, b'x' * 512),
        r'after 1 files, about byte 3072 \(no member begins there\)',
    ),
    'backwards.tar': (backwards, 'is neither a tar nor a zip|cut short or damaged'),
    'cut.zip': (
        lambda p: cut(write_zip(p, CONTENT), 900),
        r'cannot be read as a zip \(.+\): it is none, or cut before the table',
    ),
    'text.zip': (lambda p: p.write_text('no archive' * 99) and p, 'cannot be read as a zip'),
    'table.zip': (without_table, r'cannot be read as a zip \(.+central directory'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_archives(tmp_path, name):
    make, message = BAD[name]
    path = make(tmp_path / name)
    for _ in range(2):
        with pytest.raises(DataError, match=message) as caught:
            locate(f'{path}/run/a.mp4')
        assert '\n' not in str(caught.value)
        assert str(path) in str(caught.value)
    assert not [place for place in places(str(path)) if place.exists()]


def test_a_bad_archive_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path = cut(write_tar(tmp_path / 'v.tar', CONTENT), 3072)
    calls = []
    load_or_make = video_archive.load_or_make
    monkeypatch.setattr(
        video_archive, 'load_or_make', lambda path: calls.append(path) or load_or_make(path)
    )
    for _ in range(3):
        with pytest.raises(DataError, match='cut short'):
            locate(f'{path}/run/a.mp4')
    assert len(calls) == 1
    write_tar(path, CONTENT)
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']


def test_every_cut_of_a_tar_is_noticed(tmp_path):
    """Up to the end mark, which the last 512 bytes that count are."""
    whole = write_tar(tmp_path / 'whole.tar', CONTENT).read_bytes()
    end = len(whole.rstrip(b'\0')) // 512 * 512 + 512
    path = tmp_path / 'v.tar'
    for size in range(1, end + 512, 37):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r'cut short|neither a tar|is empty'):
            locate(f'{path}/run/a.mp4')


@pytest.mark.parametrize('name', MAKERS)
def test_flipped_bits_end_in_one_error_or_none(tmp_path, name):
    """Whatever the damage, a reader gets bytes of the archive or a ``DataError``."""
    path = tmp_path / name
    whole = MAKERS[name](path, CONTENT).read_bytes()
    rng = np.random.default_rng(0)
    refused = whole_ones = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 9))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        video_archive._known.clear()
        places(str(path))[0].unlink(missing_ok=True)
        for member in CONTENT:
            try:
                source = locate(f'{path}/{member}')
            except DataError as error:
                refused += '\n' not in str(error)
            else:
                whole_ones += 1
                assert source['offset'] + source['size'] <= len(data)
    assert refused + whole_ones == 300 * len(CONTENT)
    assert refused > 30


def encrypted(path: Path) -> Path:
    data = bytearray(write_zip(path, {'a.mp4': b'a' * 99, 'b.mp4': b'b'}).read_bytes())
    data[data.index(b'PK\1\2') + 8] |= 1
    path.write_bytes(data)
    return path


def sparse(path: Path) -> Path:
    """Written by hand: Python does not write the sparse files of GNU tar."""
    info = tarfile.TarInfo('a.mp4')
    info.type = tarfile.GNUTYPE_SPARSE
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    return path


UNREADABLE = {
    'encrypted.zip': (encrypted, 'is encrypted, which cannot be read in place; store it plainly'),
    'lzma.zip': (
        lambda p: write_zip(p, {'a.mp4': b'a' * 99}, zipfile.ZIP_LZMA),
        'is compressed by method 14, which cannot',
    ),
    'sparse.tar': (sparse, 'is a sparse file, which cannot'),
    'header.zip': (
        lambda p: patched(write_zip(p, {'a.mp4': b'a'}), 0, b'PK\3\4'[::-1]),
        'is damaged at byte 0: no member begins there',
    ),
}


@pytest.mark.parametrize('name', UNREADABLE)
def test_members_that_cannot_be_read(tmp_path, name):
    make, message = UNREADABLE[name]
    path = make(tmp_path / name)
    with pytest.raises(DataError, match=message) as caught:
        locate(f'{path}/a.mp4')
    assert '\n' not in str(caught.value)


def test_others_beside_an_encrypted_member(tmp_path):
    assert read(f'{encrypted(tmp_path / "v.zip")}/b.mp4') == b'b'


# the index


def test_the_index_is_made_once_and_kept(tmp_path, monkeypatch):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    locate(f'{path}/run/a.mp4')
    assert places(str(path))[0].exists()
    assert not list(tmp_path.glob('.*'))  # nothing half-written, no lock
    video_archive._known.clear()
    monkeypatch.setattr(archive_index, '_read', None)  # cannot be called
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']


@pytest.mark.parametrize('name', ['v.tar', 'deflated.zip'])
@pytest.mark.parametrize('remembered', [True, False])
def test_a_changed_archive_is_indexed_anew(tmp_path, name, remembered):
    path = MAKERS[name](tmp_path / name, {'a.mp4': b'old'})
    assert read(f'{path}/a.mp4') == b'old'
    MAKERS[name](path, {'0.mp4': b'first', 'a.mp4': b'new'})
    os.utime(path, ns=(1, 2))
    if not remembered:
        video_archive._known.clear()
    assert read(f'{path}/a.mp4') == b'new'


def not_whole(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:-100])


def foreign(index: Path) -> None:
    index.write_text('no index')


def pickled(index: Path) -> None:
    np.savez(index, key=np.array([{}], object), names=np.zeros(1), numbers=np.zeros(1))


def of_other_shape(index: Path) -> None:
    kept = dict(np.load(index))
    np.savez(index, **(kept | {'numbers': kept['numbers'][:, :1]}))


@pytest.mark.parametrize('spoil', [not_whole, foreign, pickled, of_other_shape])
def test_a_spoilt_index_is_made_anew(tmp_path, spoil):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    locate(f'{path}/run/a.mp4')
    index = places(str(path))[0]
    good = np.load(index)['names'].tobytes()
    spoil(index)
    video_archive._known.clear()
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']
    assert np.load(index)['names'].tobytes() == good


def test_an_index_that_lies_cannot_lead_out_of_the_archive(tmp_path):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    locate(f'{path}/run/a.mp4')
    index = places(str(path))[0]
    kept = dict(np.load(index))
    for offset in (-5, 10**9):
        kept['numbers'][0] = offset
        np.savez(index, **kept)
        video_archive._known.clear()
        with pytest.raises(DataError, match='is said to lie beyond the end of the archive'):
            locate(f'{path}/run/a.mp4')


@pytest.fixture
def refusing(monkeypatch):
    """Folders that cannot be written to, also for a superuser."""
    refused = []
    opened = Path.open

    def refuse(self, mode='r', *args, **kwargs):
        if 'w' in mode and any(self.is_relative_to(folder) for folder in refused):
            raise PermissionError(13, 'Permission denied', str(self))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, 'open', refuse)
    return refused


def test_the_cache_folder_stands_in_for_one_that_is_read_only(tmp_path, refusing):
    (tmp_path / 'data').mkdir()
    path = write_tar(tmp_path / 'data' / 'v.tar', CONTENT)
    refusing.append(tmp_path / 'data')
    locate(f'{path}/run/a.mp4')
    beside, cached = places(str(path))
    assert not beside.exists()
    assert cached.is_relative_to(tmp_path / 'cache' / 'mmxclip')
    assert cached.exists()
    assert places(f'{tmp_path}/other/v.tar')[1] != cached


def test_an_index_that_cannot_be_kept_is_used(tmp_path, refusing, warned):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    refusing.append(tmp_path)
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']
    assert 'cannot be kept (Permission denied): each run makes it again' in warned()[0]


def _ask(path: str, barrier, results) -> None:
    barrier.wait()
    made = []
    inner = archive_index._read
    archive_index._read = lambda *args: made.append(1) or inner(*args)
    results.put((locate(path)['offset'], len(made)))


def test_processes_that_start_together_make_one_index(tmp_path):
    path = write_tar(tmp_path / 'v.tar', {f'{i}.mp4': b'x' * i for i in range(2000)})
    context = multiprocessing.get_context('fork')
    barrier, results = context.Barrier(4), context.Queue()
    children = [
        context.Process(target=_ask, args=(f'{path}/7.mp4', barrier, results)) for _ in range(4)
    ]
    for child in children:
        child.start()
    answers = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert len({offset for offset, _ in answers}) == 1
    assert sum(made for _, made in answers) == 1
    assert not list(tmp_path.glob('.*'))


def test_a_killed_process_leaves_no_index_and_no_lock(tmp_path):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    script = (
        'import os, sys, signal\n'
        'from mmxclip.datasets import archive_index\n'
        'archive_index._save = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n'
        'archive_index.load_or_make(sys.argv[1])\n'
    )
    done = subprocess.run([sys.executable, '-c', script, str(path)], check=False, timeout=120)
    assert done.returncode == -9
    assert not places(str(path))[0].exists()
    assert read(f'{path}/run/a.mp4') == CONTENT['run/a.mp4']


def test_an_archive_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = write_tar(tmp_path / 'v.tar', CONTENT)
    inner = archive_index._read
    monkeypatch.setattr(
        archive_index, '_read', lambda *args: (inner(*args), os.utime(path, ns=(1, 2)))[0]
    )
    with pytest.raises(DataError, match='changed while it was read; wait until it is copied'):
        locate(f'{path}/run/a.mp4')


def test_an_archive_that_the_system_refuses(tmp_path, monkeypatch):
    path = write_tar(tmp_path / 'v.tar', CONTENT)

    def refuse(*args):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(archive_index, '_read', refuse)
    with pytest.raises(DataError, match=r'v\.tar cannot be read \(Permission denied\); check data'):
        locate(f'{path}/run/a.mp4')
    with pytest.raises(DataError, match=r'gone\.tar cannot be read \(No such file'):
        Archive.open(f'{tmp_path}/gone.tar')


def test_many_members_are_looked_up_in_no_time(tmp_path):
    """One look at the disk a path, whatever their number."""
    names = {f'{i % 400}/{i}.mp4': b'' for i in range(20_000)}
    path = write_zip(tmp_path / 'v.zip', names)
    archive = Archive.open(str(path))
    rows = [archive.find(name) for name in names]
    assert rows == list(range(20_000))
    assert [archive.find(name.rpartition('/')[2]) for name in names] == rows
