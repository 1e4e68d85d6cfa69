from __future__ import annotations

import json
import os

import pytest
import small_weights as small
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mmxclip.checkpoints import convert_state_dict, files, load
from mmxclip.checkpoints.architecture import expected_state
from mmxclip.checkpoints.hf_config import make_config
from mmxclip.errors import CheckpointError

FOREIGN = ('official', 'hf', 'openai', 'open_clip')
USUAL_SIZES = small.SIZES | dict(width=64, joint_width=128, text_width=64)


def assert_own(weights, complete=True):
    expected = small.own(complete)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


class Towers(torch.nn.Module):
    """Modules nested as the names of a state dict say, for a TorchScript archive."""

    def __init__(self, state_dict):
        super().__init__()
        for key, value in state_dict.items():
            *path, leaf = key.split('.')
            owner = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, torch.nn.Module())
                owner = owner._modules[part]
            owner.register_buffer(leaf, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class TestLoad:
    @pytest.mark.parametrize('source', FOREIGN)
    @pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
    def test_bare(self, tmp_path, source, suffix):
        state = small.weights(source)
        path = tmp_path / f'weights{suffix}'
        torch.save(state, path) if suffix == '.pth' else save_file(state, path)
        assert_own(load(path), complete=source in ('official', 'hf'))
        assert_own(load(str(path), source), complete=source in ('official', 'hf'))

    @pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')
    def test_torchscript(self, tmp_path):
        script = torch.jit.script(Towers(small.weights('openai')))
        torch.jit.save(script, str(tmp_path / 'ViT.pt'))
        assert_own(load(tmp_path / 'ViT.pt'), complete=False)

    @pytest.mark.parametrize(
        'wrap',
        [
            lambda state: {'model': state, 'epoch': 3},
            lambda state: {'state_dict': state, 'meta': {}, 'optimizer': {}},
            lambda state: {'state_dict': {f'module.{k}': v for k, v in state.items()}},
        ],
    )
    @pytest.mark.parametrize('source', ['official', 'mmxclip'])
    def test_wrapped(self, tmp_path, wrap, source):
        torch.save(wrap(small.weights(source)), tmp_path / 'a.pth')
        assert_own(load(tmp_path / 'a.pth'))

    @pytest.mark.parametrize('name', files.WEIGHTS_NAMES)
    def test_folder(self, tmp_path, name):
        state = small.weights('hf')
        path = tmp_path / name
        save_file(state, path) if name.endswith('safetensors') else torch.save(state, path)
        assert_own(load(tmp_path))

    def test_safetensors_win(self, tmp_path):
        save_file(small.weights('hf'), tmp_path / 'model.safetensors')
        (tmp_path / 'pytorch_model.bin').write_bytes(b'')
        assert_own(load(tmp_path))

    @pytest.mark.parametrize(
        ('names', 'message'),
        [
            ([], 'holds no weights, expected model.safetensors or pytorch_model.bin'),
            (['flax_model.msgpack'], 'holds no weights'),
            (['model.safetensors.index.json'], 'cut in pieces; save them whole'),
            (['pytorch_model.bin.index.json'], 'cut in pieces; save them whole'),
        ],
    )
    def test_folder_without_weights(self, tmp_path, names, message):
        for name in names:
            (tmp_path / name).write_text('{}')
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path)

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            ({}, 'among 0 entries are no weights: it is empty'),
            ({'state_dict': {}}, 'it is empty'),
            ({'epoch': 3, 'w': torch.ones(1)}, r'among 2 entries are no weights: epoch \(int\)'),
            ({0: torch.ones(1)}, r'among 1 entries are no weights: 0 \(Tensor\)'),
            ({'model': [torch.ones(1)]}, r'no weights: model \(list\)'),
        ],
    )
    def test_no_plain_weights(self, tmp_path, content, message):
        torch.save(content, tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / 'a.pth')

    def test_truncated(self, tmp_path):
        torch.save(small.weights('official'), tmp_path / 'a.pth')
        whole = (tmp_path / 'a.pth').read_bytes()
        for size in (0, 10, len(whole) // 2, len(whole) - 1):
            (tmp_path / 'a.pth').write_bytes(whole[:size])
            with pytest.raises(CheckpointError, match=r'a\.pth') as caught:
                load(tmp_path / 'a.pth')
            assert len(str(caught.value).splitlines()) == 1

    def test_absent(self, tmp_path):
        with pytest.raises(CheckpointError, match='does not exist'):
            load(tmp_path / 'a.pth')

    def test_wrong_source(self, tmp_path):
        torch.save(small.weights('official'), tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match='of 281 keys are not known'):
            load(tmp_path / 'a.pth', 'hf')

    def test_configuration_of_something_else_is_not_read(self, tmp_path):
        """A ``config.json`` beside a file of another format has nothing to do with it."""
        (tmp_path / 'config.json').write_text('{"a": 1}')
        torch.save(small.weights('official'), tmp_path / 'a.pth')
        assert_own(load(tmp_path / 'a.pth'))


class TestHeads:
    """Of the configuration beside the weights."""

    @pytest.fixture
    def folder(self, tmp_path):
        own = {name: torch.zeros(meta.shape) for name, meta in expected_state(USUAL_SIZES).items()}
        save_file(convert_state_dict(own, target='hf'), tmp_path / 'model.safetensors')
        self.configure(tmp_path, dict(neck=8, prompt=4))
        return tmp_path

    def configure(self, folder, heads):
        (folder / 'config.json').write_text(json.dumps(make_config(USUAL_SIZES, heads)))

    def test_are_told(self, folder, warned):
        load(folder)
        assert warned() == [
            'the configuration beside the weights has other heads than one per 64 channels '
            '(neck 8 instead of 2, prompt 4 instead of 2); the usual ones are right for weights '
            'of the authors and are used here; to reproduce outputs of the configuration set '
            'neck.num_heads=8, cls_head.prompt.num_heads=4'
        ]

    def test_nothing_is_said_of_usual_ones(self, folder, warned):
        self.configure(folder, None)
        load(folder)
        assert warned() == []

    @pytest.mark.parametrize('keep', [False, True])
    def test_in_the_architecture(self, folder, warned, keep):
        architecture = files.read(folder, keep_heads=keep).architecture
        assert architecture['neck'].get('num_heads') == (8 if keep else None)
        assert architecture['cls_head']['prompt'].get('num_heads') == (4 if keep else None)
        assert 'num_heads' not in architecture['backbone']
        assert ('are kept' in warned()[0]) == keep

    @pytest.mark.parametrize('keep', [False, True])
    def test_in_a_folder_written_anew(self, folder, keep):
        files.write(files.read(folder, keep_heads=keep), folder / 'new', 'hf')
        config = json.loads((folder / 'new' / 'config.json').read_text())
        assert config == make_config(USUAL_SIZES, dict(neck=8, prompt=4) if keep else None)

    def test_other_sizes_are_refused(self, folder):
        config = json.loads((folder / 'config.json').read_text())
        config['vision_config']['num_hidden_layers'] = 3
        (folder / 'config.json').write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match='num_hidden_layers 3 for 2'):
            load(folder)


class TestWrite:
    @pytest.fixture
    def weights(self, tmp_path):
        torch.save({'model': small.weights('official')}, tmp_path / 'src.pth')
        return files.read(tmp_path / 'src.pth')

    def test_what_was_read(self, weights):
        assert weights.source == 'official'
        assert weights.sizes == small.SIZES
        told = '\n'.join(files.describe(weights))
        assert "src.pth: the authors' X-CLIP (official), 281 tensors" in told
        assert 'bfloat16, float16, float32' in told
        assert 'patches of 2 in 6 pixels, 5 frames' in told

    @pytest.mark.parametrize('target', ['mmxclip', 'official', 'hf'])
    @pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
    def test_target(self, weights, tmp_path, target, suffix):
        path = tmp_path / f'dst{suffix}'
        written = files.write(weights, path, target)
        assert files.read(path).source == target
        assert_own(load(path))
        assert written.keys() == small.weights(target).keys()

    def test_places_where_readers_look(self, weights, tmp_path):
        for target, place in (('mmxclip', 'state_dict'), ('official', 'model'), ('hf', None)):
            files.write(weights, tmp_path / 'dst.pth', target)
            content = torch.load(tmp_path / 'dst.pth', weights_only=True)
            state = content if place is None else content[place]
            assert state.keys() == small.weights(target).keys()
            if target == 'mmxclip':
                assert content['meta']['architecture'] == weights.architecture

    def test_folder(self, weights, tmp_path):
        files.write(weights, tmp_path / 'deep' / 'hf', 'hf')
        assert sorted(os.listdir(tmp_path / 'deep')) == ['hf']
        assert sorted(os.listdir(tmp_path / 'deep' / 'hf')) == ['config.json', 'model.safetensors']
        with safe_open(tmp_path / 'deep' / 'hf' / 'model.safetensors', 'pt') as file:
            assert file.metadata() == {'format': 'pt'}
        assert_own(load(tmp_path / 'deep' / 'hf'))

    @pytest.mark.parametrize('name', ['dst.pth', 'dst.safetensors'])
    def test_views_of_one_memory(self, tmp_path, name):
        state = small.own()
        size = sum(value.numel() for value in state.values())
        memory, start = torch.randn(size), 0
        for key, value in state.items():
            state[key] = memory[start : start + value.numel()].view(value.shape)
            start += value.numel()
        torch.save(state, tmp_path / 'src.pth')
        files.write(files.read(tmp_path / 'src.pth'), tmp_path / name)
        assert all(torch.equal(value, state[key]) for key, value in load(tmp_path / name).items())

    def test_an_older_file_is_replaced(self, weights, tmp_path):
        (tmp_path / 'dst.pth').write_text('old')
        files.write(weights, tmp_path / 'dst.pth')
        assert_own(load(tmp_path / 'dst.pth'))

    @pytest.mark.parametrize(
        ('name', 'target', 'message'),
        [
            ('dst.bin', 'mmxclip', 'dst.bin ends in neither .pth nor .safetensors'),
            ('dst', 'official', 'dst ends in neither'),
            ('dst.v2', 'hf', 'or a folder without a dot'),
            ('src.pth', 'hf', 'is the file that is read'),
            ('folder.pth', 'mmxclip', 'exists already'),
            ('folder', 'hf', 'exists already'),
            ('src.pth/dst.pth', 'hf', 'cannot be written'),
            ('file', 'hf', 'exists already'),
        ],
    )
    def test_refused(self, weights, tmp_path, name, target, message):
        (tmp_path / 'folder.pth').mkdir()
        (tmp_path / 'folder').mkdir()
        (tmp_path / 'file').touch()
        before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob('*'))
        with pytest.raises(CheckpointError, match=message):
            files.write(weights, tmp_path / name, target)
        assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob('*')) == before
        assert_own(load(tmp_path / 'src.pth'))

    @pytest.mark.parametrize('name', ['dst.pth', 'dst.safetensors', 'dst'])
    @pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), KeyboardInterrupt()])
    def test_interrupted(self, weights, tmp_path, monkeypatch, name, error):
        """Nothing is left, and what was there stays."""
        if '.' in name:
            (tmp_path / name).write_text('old')

        def fail(_, path, **__):
            path.write_text('half')
            raise error

        monkeypatch.setattr(torch, 'save', fail)
        monkeypatch.setattr('safetensors.torch.save_file', fail)
        kind = CheckpointError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(kind, match='No space left' if kind is CheckpointError else None):
            files.write(weights, tmp_path / name, 'hf')
        assert sorted(os.listdir(tmp_path)) == sorted({'src.pth', name} - {'dst'})
        if '.' in name:
            assert (tmp_path / name).read_text() == 'old'

    def test_towers_alone_are_no_xclip(self, tmp_path):
        torch.save(small.weights('openai'), tmp_path / 'src.pth')
        weights = files.read(tmp_path / 'src.pth')
        assert 'frames' not in files.describe(weights)[1]
        with pytest.raises(CheckpointError, match='expected a complete X-CLIP'):
            files.write(weights, tmp_path / 'dst', 'hf')
        assert os.listdir(tmp_path) == ['src.pth']
