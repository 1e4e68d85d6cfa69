"""Whole exports: the files against the classifier, and what cannot be exported."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmxclip.apis.config_names import find_config
from mmxclip.errors import CheckpointError, ConfigError, DataError
from mmxclip.export import exported, exporting, onnx, torchscript
from mmxclip.export.check import TOLERANCE
from mmxclip.export.exporting import FORMATS, export_model
from mmxclip.export.graph import Graph
from mmxclip.export.session import ExportedModel
from mmxclip.version import __version__


def expected(classifier, frames, labels):
    """Probabilities of the classifier itself."""
    clips = torch.from_numpy(frames).permute(0, 4, 1, 2, 3).unsqueeze(1)
    return classifier.scores(clips, classifier.vocabulary(labels)).numpy()


@pytest.mark.parametrize('fmt', FORMATS)
def test_classes_within(fmt, exports, labels, classifier, frames):
    model = ExportedModel.load(exports(fmt, False).path, trust=True)
    assert model.classes == labels
    for clips in (frames, frames[:1], frames[1:3]):
        _, probabilities = model.scores(clips)
        np.testing.assert_allclose(
            probabilities, expected(classifier, clips, labels), rtol=0, atol=TOLERANCE
        )


@pytest.mark.parametrize('fmt', FORMATS)
@pytest.mark.parametrize('count', [1, 2, 7])
def test_text_as_an_input(fmt, count, exports, classifier, frames):
    model = ExportedModel.load(exports(fmt, True).path, trust=True)
    names = ('diving', 'a disc', 'a square', 'singing', 'a dog', 'rain', 'a red thing')[:count]
    text = classifier.encode_text(names) * 3  # of another length
    logits, probabilities = model.scores(frames[:count], text)
    assert logits.shape == probabilities.shape == (min(count, 4), count)
    clips = torch.from_numpy(frames[:count]).permute(0, 4, 1, 2, 3).unsqueeze(1)
    computer = classifier._computer
    truth = computer.logits(computer.features(clips), text).numpy()
    assert np.abs(logits - truth).max() <= TOLERANCE * np.abs(truth).max()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize('fmt', FORMATS)
def test_checked_and_described(fmt, exports, config):
    done = exports(fmt, False)
    assert done.difference.logits <= TOLERANCE
    assert done.difference.probabilities <= TOLERANCE
    meta = ExportedModel.load(done.path, trust=True).metadata
    assert meta.to_json() == done.metadata.to_json()
    assert (meta.version, meta.config) == (__version__, 'one_layer.py')
    assert (meta.frames_dtype, meta.shape) == ('uint8', (8, 64, 64, 3))
    assert meta.mean == pytest.approx(Config.fromfile(config).model.data_preprocessor.mean)
    assert not list(done.path.parent.glob('.*'))


def test_hash_is_that_of_the_weights(exports):
    assert exports('onnx', True).metadata.weights == exports('exported', False).metadata.weights
    assert len(exports('onnx', True).metadata.weights) == 64


def test_text_tower_is_left_out(exports, checkpoint):
    assert exports('torchscript', True).path.stat().st_size < checkpoint.stat().st_size / 2


class TestWrong:
    """What ends in an error, and leaves the folder as it was."""

    @pytest.fixture
    def target(self, tmp_path):
        """A file that is there already."""
        path = tmp_path / 'model.pt'
        path.write_text('old')
        yield path
        assert path.read_text() == 'old'
        assert [item.name for item in tmp_path.iterdir()] == ['model.pt']

    def export(self, config, target, checkpoint, **changes):
        labels = ('walking', 'running')
        return export_model(config, target, 'torchscript', checkpoint, labels, **changes)

    def test_other_outputs(self, config, target, checkpoint, monkeypatch):
        normalize = Graph.normalize
        monkeypatch.setattr(Graph, 'normalize', lambda self, x: normalize(self, x).flip(1))
        with pytest.raises(DataError, match=r'model.pt was not written: its logits .* by \d'):
            self.export(config, target, checkpoint)

    def test_not_a_number(self, config, target, checkpoint, monkeypatch):
        normalize = Graph.normalize
        monkeypatch.setattr(Graph, 'normalize', lambda self, x: torch.nan * normalize(self, x))
        with pytest.raises(DataError, match='by nan of the largest'):
            self.export(config, target, checkpoint)

    @pytest.mark.parametrize('fmt', FORMATS)
    def test_full_disk(self, fmt, config, target, checkpoint, monkeypatch):
        module = dict(onnx=onnx, torchscript=torchscript, exported=exported)[fmt]
        write = module.write

        def write_little(*args, **kwargs):
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
            try:
                write(*args, **kwargs)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        monkeypatch.setattr(module, 'write', write_little)
        with pytest.raises(CheckpointError, match=r'model\.pt cannot be written: File too'):
            export_model(config, target, fmt, checkpoint)

    def test_weights_of_another_model(self, config, target, tmp_path_factory):
        other = tmp_path_factory.mktemp('other') / 'other.pth'
        torch.save({'state_dict': {'layer.weight': torch.ones(2)}}, other)
        with pytest.raises(CheckpointError, match=r'other.pth'):
            self.export(config, target, other)

    def test_labels_twice(self, config, target, checkpoint):
        with pytest.raises(ConfigError, match='labels and text_input exclude each other'):
            self.export(config, target, checkpoint, text_input=True)

    def test_format(self, config, target):
        with pytest.raises(ConfigError, match="format 'tflite' is not known; expected one of"):
            export_model(config, target, 'tflite')

    def test_no_classes(self, config, target, checkpoint):
        cfg = Config.fromfile(config)
        del cfg.model.cls_head['classes']
        with pytest.raises(ConfigError, match='no classes of its own; give --labels or --text-'):
            export_model(cfg, target, 'torchscript', checkpoint)

    def test_frames_folded_into_the_batch(self, config, target, checkpoint):
        cfg = Config.fromfile(config)
        for step in cfg.val_dataloader.dataset.pipeline:
            if step.type == 'FormatShape':
                step.input_format = 'NCHW'
        with pytest.raises(ConfigError, match=r'gives a video the shape .*FormatShape'):
            export_model(cfg, target, 'torchscript', checkpoint)

    def test_folder_as_a_file(self, config, target, tmp_path):
        with pytest.raises(ConfigError, match='is a folder; give the name of a file'):
            export_model(config, tmp_path)

    def test_absent_folder(self, config, target, tmp_path):
        with pytest.raises(ConfigError, match=r'folder .*none of x.onnx does not exist; make it'):
            export_model(config, tmp_path / 'none' / 'x.onnx')


def test_without_check(config, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, 'compare', None)
    done = export_model(config, tmp_path / 'x.pt', 'torchscript', checkpoint, check=False)
    assert done.difference is None
    assert len(done.metadata.classes) == 64
    assert done.path.stat().st_size > 1e6


def test_channels_in_the_order_of_the_config(config, checkpoint, tmp_path):
    cfg = Config.fromfile(config)
    cfg.model.data_preprocessor.to_rgb = True
    for preprocessing in (True, False):  # the check compares with the model's own preprocessor
        done = export_model(
            cfg, tmp_path / 'x.pt', 'torchscript', checkpoint, preprocessing=preprocessing
        )
        assert done.metadata.swap_channels
        assert done.difference.within


@pytest.mark.slow
@pytest.mark.parametrize('fmt', FORMATS)
@pytest.mark.parametrize('text_input', [False, True])
def test_published_size(fmt, text_input, tmp_path):
    """B/32 with random weights of the size that they have when trained."""
    cfg = Config.fromfile(find_config('xclip_b32_k400'))
    cfg.model.init_cfg = None
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, tmp_path / 'weights.pth')
    done = export_model(cfg, tmp_path / 'x', fmt, tmp_path / 'weights.pth', text_input=text_input)
    assert done.difference.within
    assert done.metadata.shape == (8, 224, 224, 3)
