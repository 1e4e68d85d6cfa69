"""Reading exported files back, and files of other origins."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from video_files import write_video

from mmxclip.errors import ConfigError, DataError
from mmxclip.export import exported
from mmxclip.export import onnx as onnx_format
from mmxclip.export.session import ExportedModel, format_of


@pytest.fixture(scope='module')
def within(exports) -> ExportedModel:
    """A file with its classes, which takes pixels."""
    return ExportedModel.load(exports('onnx', False).path)


@pytest.fixture(scope='module')
def open_words(exports) -> ExportedModel:
    """A file that takes embeddings, and normalized frames."""
    return ExportedModel.load(exports('torchscript', True).path, trust=True)


class TestScores:
    """Frames to scores by name."""

    def test_one_clip_and_several(self, within, frames, labels):
        several = within(frames)
        assert [list(row) for row in several] == [list(labels)] * 4
        one = within(frames[2])
        assert one == pytest.approx(several[2], abs=1e-5)
        assert sum(one.values()) == pytest.approx(1, abs=1e-5)

    def test_tensors(self, within, frames):
        assert within(torch.from_numpy(frames[0])) == within(frames[0])

    def test_not_contiguous(self, within, frames):
        moved = np.ascontiguousarray(frames[0].transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0)
        assert within(moved) == within(frames[0])

    def test_names_for_embeddings(self, open_words, classifier, frames):
        text = classifier.vocabulary(['diving', 'a disc']).features
        named = open_words(frames[0], text, ['diving', 'a disc'])
        assert named == pytest.approx(
            {item.label: item.score for item in classifier(frames[0], list(named)).predictions},
            abs=1e-4,
        )
        assert list(open_words(frames[0], text.numpy())) == ['0', '1']

    def test_a_video_is_prepared_as_the_classifier_does(self, within, classifier, labels, tmp_path):
        video = str(write_video(tmp_path / 'ä video.mp4', num_frames=19, size=(90, 70)))
        frames = within.prepare(video)
        assert (frames.shape, frames.dtype) == ((8, 64, 64, 3), np.uint8)
        expected = classifier(video, list(labels), top_k=3)
        scores = within(frames)
        assert {item.label: item.score for item in expected.predictions} == pytest.approx(
            scores, abs=1e-4
        )

    def test_frames_of_any_size_are_prepared(self, within):
        frames = np.zeros((30, 50, 70, 3), np.uint8)
        assert within.prepare(frames).shape == (8, 64, 64, 3)

    def test_runtime_alone(self, exports, frames, labels, within):
        """As the documentation shows it."""
        session = onnxruntime.InferenceSession(
            exports('onnx', False).path, providers=['CPUExecutionProvider']
        )
        about = json.loads(session.get_modelmeta().custom_metadata_map['mmxclip'])
        assert about['classes'] == list(labels)
        assert [item.shape for item in session.get_inputs()] == [['clips', 8, 64, 64, 3]]
        (probabilities,) = session.run(['probabilities'], {'frames': frames[:1]})
        assert dict(zip(labels, probabilities[0].tolist(), strict=True)) == within(frames[0])

    def test_names_of_the_inputs(self, exports):
        session = onnxruntime.InferenceSession(exports('onnx', True).path)
        shapes = {item.name: item.shape for item in session.get_inputs()}
        assert shapes == {'frames': ['clips', 3, 8, 64, 64], 'text_features': ['classes', 64]}
        assert [item.name for item in session.get_outputs()] == ['logits', 'probabilities']


class TestWrongInputs:
    """One line each."""

    @pytest.mark.parametrize(
        'shape', [(8, 64, 64), (7, 64, 64, 3), (8, 64, 65, 3), (1, 1, 8, 64, 64, 3)]
    )
    def test_shape(self, within, shape):
        with pytest.raises(DataError, match=r'do not fit .*expected uint8 \(8, 64, 64, 3\)'):
            within(np.zeros(shape, np.uint8))

    def test_dtype(self, within, frames):
        with pytest.raises(DataError, match=r'torch\.float64 do not fit'):
            within(frames / 255)

    def test_no_clips(self, within, frames):
        with pytest.raises(DataError, match='no clips were given'):
            within(frames[:0])

    def test_text_where_none_is_taken(self, within, frames):
        with pytest.raises(ConfigError, match='has its classes within and takes no text_features'):
            within(frames, np.zeros((2, 64)))
        with pytest.raises(ConfigError, match='has its classes within and takes no labels'):
            within(frames, labels=['a', 'b'])

    def test_no_text(self, open_words, frames):
        with pytest.raises(ConfigError, match=r'as an input; give text_features \(K, 64\)'):
            open_words(frames)

    @pytest.mark.parametrize('shape', [(64,), (2, 63), (0, 64)])
    def test_text_of_another_shape(self, open_words, frames, shape):
        with pytest.raises(ConfigError, match=r'text_features of shape .*expected \(K, 64\)'):
            open_words(frames, np.zeros(shape))

    @pytest.mark.parametrize('names', [['a'], ['a', 'a'], ['a', 'b', 'c']])
    def test_labels_that_do_not_fit(self, open_words, frames, names):
        with pytest.raises(ConfigError, match=r'labels for 2 rows of text_features'):
            open_words(frames, np.ones((2, 64)), names)


class TestFiles:
    """What is no file of an export, or not one to be trusted."""

    @pytest.mark.parametrize('fmt', ['onnx', 'torchscript', 'exported'])
    def test_formats_are_told_apart_by_content(self, fmt, exports):
        assert format_of(exports(fmt, False).path) == fmt

    @pytest.mark.parametrize('fmt', ['torchscript', 'exported'])
    def test_programs_are_not_run_unasked(self, fmt, exports, monkeypatch):
        monkeypatch.setattr(torch.jit, 'load', None)
        monkeypatch.setattr(torch.export, 'load', None)
        with pytest.raises(ConfigError, match=rf'is a program \({fmt}\) and would be run; if'):
            ExportedModel.load(exports(fmt, False).path)

    def test_absent(self, tmp_path):
        with pytest.raises(DataError, match=r'none.onnx cannot be read \(No such file'):
            ExportedModel.load(tmp_path / 'none.onnx')

    def test_folder(self, tmp_path):
        with pytest.raises(DataError, match=r'cannot be read \(Is a directory\)'):
            ExportedModel.load(tmp_path)

    def test_empty(self, tmp_path):
        (tmp_path / 'x.onnx').touch()
        with pytest.raises(DataError, match=r'x.onnx is empty; export it again'):
            ExportedModel.load(tmp_path / 'x.onnx')

    def test_no_model_at_all(self, tmp_path):
        (tmp_path / 'x.onnx').write_text('not a model')
        with pytest.raises(DataError, match=r'x.onnx is no ONNX model that can be run') as error:
            ExportedModel.load(tmp_path / 'x.onnx')
        assert '\n' not in str(error.value)

    def test_half_a_file(self, tmp_path, exports):
        data = exports('onnx', False).path.read_bytes()
        (tmp_path / 'x.onnx').write_bytes(data[: len(data) // 2])
        with pytest.raises(DataError, match=r'x.onnx is no ONNX model that can be run'):
            ExportedModel.load(tmp_path / 'x.onnx')

    def test_model_of_others(self, tmp_path):
        value = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1])
        out = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1])
        node = onnx.helper.make_node('Relu', ['x'], ['y'])
        graph = onnx.helper.make_graph([node], 'g', [value], [out])
        opset = onnx.helper.make_opsetid('', 18)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.save(model, tmp_path / 'x.onnx')
        with pytest.raises(DataError, match=r'x.onnx was not written by mmxclip export'):
            ExportedModel.load(tmp_path / 'x.onnx')

    def test_zip_of_others(self, tmp_path):
        with zipfile.ZipFile(tmp_path / 'x.onnx', 'w') as archive:
            archive.writestr('a/b.txt', 'text')
        with pytest.raises(DataError, match='is a zip file without a model'):
            ExportedModel.load(tmp_path / 'x.onnx')

    def test_archive_of_others(self, tmp_path):
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), str(tmp_path / 'x.pt'))
        with pytest.raises(DataError, match=r'x.pt was not written by mmxclip export'):
            ExportedModel.load(tmp_path / 'x.pt', trust=True)

    @pytest.mark.parametrize('place', [b'PK\x01\x02', b'"version"'])
    def test_damaged_zip(self, tmp_path, exports, place):
        data = bytearray(exports('torchscript', False).path.read_bytes())
        begin = data.index(place)  # the table of contents; the metadata, whose sum is then wrong
        data[begin : begin + 4] = b'XXXX'
        (tmp_path / 'x.pt').write_bytes(data)
        with pytest.raises(DataError, match=r'x\.pt is damaged \(.*\); export it again'):
            ExportedModel.load(tmp_path / 'x.pt', trust=True)

    def test_damaged_archive(self, tmp_path, exports):
        source = exports('exported', False).path
        with (
            zipfile.ZipFile(source) as whole,
            zipfile.ZipFile(tmp_path / 'x.pt2', 'w') as archive,
        ):
            for name in whole.namelist():
                data = b'{' if name.endswith('models/model.json') else whole.read(name)
                archive.writestr(name, data)
        with pytest.raises(DataError, match=r'cannot be loaded .*damaged or of another PyTorch'):
            ExportedModel.load(tmp_path / 'x.pt2', trust=True)

    def test_without_a_pipeline(self, exports, frames):
        path = exports('exported', False).path
        metadata = exports('exported', False).metadata
        values = {**json.loads(metadata.to_json()), 'pipeline': None}
        changed = type(metadata).from_json(json.dumps(values), 'x')
        model = ExportedModel(exported.read(path), changed, 'x.pt2')
        assert len(model(frames)) == 4
        with pytest.raises(DataError, match=r'x.pt2 does not say how frames are made of videos'):
            model.prepare(frames[0])

    def test_unknown_provider(self, exports):
        with pytest.raises(ConfigError, match="provider 'Abacus' is not in this onnxruntime"):
            ExportedModel.load(exports('onnx', False).path, providers=['Abacus'])

    def test_not_installed(self, exports, monkeypatch):
        def absent(name):
            raise ImportError(f'No module named {name!r}')

        monkeypatch.setattr(onnx_format, 'import_module', absent)
        with pytest.raises(ConfigError, match=r'ONNX needs onnxruntime .*"mmxclip\[onnx\]"'):
            ExportedModel.load(exports('onnx', False).path)
