from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from safetensors.torch import save_file
from small_models import (
    CLASSES,
    HEAD,
    IMG_SIZE,
    NECK,
    NUM_FRAMES,
    NUM_ROWS,
    TEXT,
    TEXT_WIDTH,
    VISION,
    clip,
    clip_state_of,
    video,
    xclip,
)
from torch import Tensor, nn

import mmxclip.models.weights.open_clip_pretrained as module
from mmxclip.errors import CheckpointError, ConfigError, MMXCLIPError
from mmxclip.models import OpenCLIPPretrained
from mmxclip.models.weights.open_clip_pretrained import (
    CLIP_VOCAB_SIZE,
    TOKEN_IDS,
    TOKEN_ROWS,
    expand_token_rows,
)


class Archived(nn.Module):
    """A model that TorchScript takes, with parameters under CLIP's names."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            *path, leaf = name.split('.')
            owner = self
            for part in path:
                if not hasattr(owner, part):
                    owner.add_module(part, Empty())
                owner = getattr(owner, part)
            owner.register_parameter(leaf, nn.Parameter(value.clone()))
        # beside the weights, as in OpenAI's archives
        self.register_buffer('input_resolution', torch.tensor(IMG_SIZE))
        self.register_buffer('context_length', torch.tensor(13))
        self.register_buffer('vocab_size', torch.tensor(CLIP_VOCAB_SIZE))

    def forward(self, x: Tensor) -> Tensor:
        return x


class Empty(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def as_safetensors(state, path):
    save_file({key: value.contiguous() for key, value in state.items()}, path)


def as_state_dict(state, path):
    torch.save(state, path)


def as_training_checkpoint(state, path):
    state = {f'module.{key}': value for key, value in state.items()}
    torch.save(dict(epoch=3, name='run', state_dict=state), path)


def as_authors_checkpoint(state, path):
    torch.save(dict(model=state, epoch=3), path)


@pytest.mark.filterwarnings('ignore:.*torch.jit.*:DeprecationWarning')
def as_archive(state, path):
    torch.jit.save(torch.jit.script(Archived(state)), path)


FORMS = {
    'clip.safetensors': as_safetensors,
    'clip.pth': as_state_dict,
    'run.pt': as_training_checkpoint,
    'authors.pth': as_authors_checkpoint,
    'ViT-B-16.pt': as_archive,
}


@pytest.mark.filterwarnings('ignore:.*jit.*')
@pytest.mark.parametrize('name', FORMS)
@torch.no_grad()
def test_every_form_of_file_fills_both_towers_and_the_temperature(name, tmp_path):
    theirs = clip()
    FORMS[name](theirs.state_dict(), tmp_path / name)
    model = xclip(init_cfg=dict(type='OpenCLIPPretrained', pretrained=str(tmp_path / name)))
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.init_weights()

    for key, value in clip_state_of(model).items():
        assert torch.equal(value, theirs.state_dict()[key]), key
    filled = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    new = {
        f'{prefix}.{name}'
        for prefix, part in model.named_modules()
        if hasattr(part, 'new_parameter_names')
        for name in part.new_parameter_names()
    }
    assert not filled & new
    assert filled | new == set(before)  # every parameter is one or the other


@torch.no_grad()
def test_the_filled_model_sees_and_reads_as_open_clips(tmp_path):
    import open_clip

    theirs = clip()
    as_safetensors(theirs.state_dict(), tmp_path / 'clip.safetensors')
    model = xclip(
        backbone=VISION | dict(cross_frame=False),
        neck=dict(type='FrameAverage'),
        cls_head=HEAD | dict(prompt=None),
        init_cfg=dict(type='OpenCLIPPretrained', pretrained=str(tmp_path / 'clip.safetensors')),
    )
    model.init_weights()
    inputs = video(NUM_ROWS, 1)
    frames = [theirs.encode_image(inputs[:, 0, :, t]) for t in range(NUM_FRAMES)]
    seen = nn.functional.normalize(sum(frames) / NUM_FRAMES, dim=-1)
    read = theirs.encode_text(open_clip.tokenize(list(CLASSES), context_length=13))
    expected = theirs.logit_scale.exp() * seen @ nn.functional.normalize(read, dim=-1).T
    actual = model.eval()(inputs, stage='head')
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('part', [VISION, TEXT])
def test_one_tower_alone(part, tmp_path):
    theirs = clip().state_dict()
    as_safetensors(theirs, tmp_path / 'clip.safetensors')
    init = dict(type='OpenCLIPPretrained', pretrained=str(tmp_path / 'clip.safetensors'))
    tower = MODELS.build({**part, 'init_cfg': init})
    tower.init_weights()
    if part is VISION:
        assert torch.equal(tower.proj, theirs['visual.proj'])
    else:
        assert torch.equal(tower.tower.text_projection, theirs['text_projection'])


def test_half_precision_files_fill_float32_parameters(tmp_path):
    state = {key: value.half() for key, value in clip().state_dict().items()}
    as_safetensors(state, tmp_path / 'clip.safetensors')
    model = xclip()
    OpenCLIPPretrained(str(tmp_path / 'clip.safetensors'))(model)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.backbone.proj, state['visual.proj'].float())


def test_another_image_size(tmp_path):
    path = tmp_path / 'clip.safetensors'
    as_safetensors(clip(image_size=20).state_dict(), path)
    with pytest.raises(CheckpointError, match=r'26 rows.* needs 10; .*interpolate=True'):
        OpenCLIPPretrained(str(path))(xclip())
    model = xclip()
    OpenCLIPPretrained(str(path), interpolate=True)(model)
    assert model(video(1, 1), stage='head').shape == (1, len(CLASSES))


def test_a_module_without_towers():
    match = 'given to Linear, which has no part that takes image-text weights; give it to XCLIP'
    with pytest.raises(ConfigError, match=match):
        OpenCLIPPretrained('weights.pth')(nn.Linear(2, 2))


class TestLocalFiles:
    def test_absent(self):
        with pytest.raises(CheckpointError, match=r'no_such.pth does not exist'):
            OpenCLIPPretrained('no_such.pth')(xclip())

    def test_absent_with_a_model(self):
        with pytest.raises(CheckpointError, match=r'no_such.pth does not exist'):
            OpenCLIPPretrained('no_such.pth', model='ViT-B-16-quickgelu')(xclip())

    def test_a_tag_needs_a_model(self):
        match = "pretrained='openai' is no local file; to use it as a tag of open_clip, set model"
        with pytest.raises(ConfigError, match=match):
            OpenCLIPPretrained('openai')(xclip())

    def test_no_weights(self, tmp_path):
        torch.save(dict(epoch=3), tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match=r'a.pth holds no weights \(a dict\)'):
            OpenCLIPPretrained(str(tmp_path / 'a.pth'))(xclip())

    def test_code(self, tmp_path):
        """A pickle that would run something is not even opened that far."""
        marker = tmp_path / 'ran'

        class Harmful:
            def __reduce__(self):
                return Path.touch, (marker,)

        torch.save(dict(state_dict=Harmful()), tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match='could run code'):
            OpenCLIPPretrained(str(tmp_path / 'a.pth'))(xclip())
        assert not marker.exists()

    def test_a_file_named_like_a_tag_wins(self, tmp_path, monkeypatch):
        as_state_dict(clip().state_dict(), tmp_path / 'openai')
        monkeypatch.chdir(tmp_path)
        model = xclip()
        OpenCLIPPretrained('openai', model='ViT-B-16-quickgelu')(model)
        assert torch.equal(model.backbone.proj, clip().visual.proj)

    def test_a_folder_named_like_a_tag_does_not(self, tmp_path, monkeypatch, no_download):
        (tmp_path / 'openai').mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CheckpointError, match='could not be had from'):
            OpenCLIPPretrained('openai', model='ViT-B-16-quickgelu')(xclip())


@pytest.fixture
def no_download(monkeypatch) -> list[dict]:
    """Downloads fail; what was asked for is listed."""
    asked = []

    def fail(config, cache_dir=None):
        asked.append(dict(config, cache_dir=cache_dir))
        raise ConnectionError('Name or service not known\n(a second line)')

    monkeypatch.setattr('open_clip.pretrained.download_pretrained', fail)
    return asked


class TestTags:
    def test_downloaded_file_is_read(self, monkeypatch, tmp_path):
        path = tmp_path / 'ViT-B-16.pt'
        as_state_dict(clip().state_dict(), path)
        asked = []

        def download(config, cache_dir=None):
            asked.append((config['url'], cache_dir))
            return str(path)

        monkeypatch.setattr('open_clip.pretrained.download_pretrained', download)
        model = xclip()
        OpenCLIPPretrained('openai', 'ViT-B-16-quickgelu', cache_dir='here')(model)
        assert torch.equal(model.backbone.proj, clip().visual.proj)
        assert len(asked) == 1
        assert asked[0][0].endswith('/ViT-B-16.pt')
        assert asked[0][1] == 'here'

    @pytest.mark.parametrize(
        ('model', 'tag', 'origin'),
        [
            ('ViT-B-16-quickgelu', 'openai', r'https://openaipublic\S+/ViT-B-16.pt'),
            ('ViT-L-14-336-quickgelu', 'openai', r'https://openaipublic\S+/ViT-L-14-336px.pt'),
            ('ViT-H-14-quickgelu', 'dfn5b', r'hf-hub:apple/\S+'),
        ],
    )
    def test_without_network(self, model, tag, origin, no_download):
        """One line that names model, tag and origin, and the way out."""
        match = (
            rf'^weights {model}/{tag} could not be had from {origin} \(ConnectionError\); .*'
            r'set init_cfg.pretrained to its path, or init_cfg=None to start from random weights$'
        )
        with pytest.raises(CheckpointError, match=match) as caught:
            OpenCLIPPretrained(tag, model)(xclip())
        assert '\n' not in str(caught.value)
        assert len(no_download) == 1

    @pytest.mark.parametrize('model', ['ViT-B-16', 'ViT-B-16-quickgelu'])
    def test_unknown_tag(self, model, no_download):
        match = rf"pretrained='opnai' is no tag of model='{model}' and no local file; tags: openai,"
        with pytest.raises(ConfigError, match=match):
            OpenCLIPPretrained('opnai', model)(xclip())
        assert no_download == []

    def test_unknown_model(self, no_download):
        with pytest.raises(ConfigError, match=r"model='ViT-B-17' is not known .*ViT-B-16"):
            OpenCLIPPretrained('openai', 'ViT-B-17')(xclip())

    @pytest.mark.parametrize(
        ('model', 'tag', 'act', 'expected'),
        [
            ('ViT-B-16-quickgelu', 'openai', 'gelu', 'quick_gelu'),
            ('ViT-B-16', 'openai', 'gelu', 'quick_gelu'),
            ('ViT-B-32', 'metaclip_400m', 'gelu', 'quick_gelu'),
            ('ViT-B-16', 'laion2b_s34b_b88k', 'quick_gelu', 'gelu'),
        ],
    )
    @pytest.mark.parametrize('part', ['CrossFrameViT', 'CLIPTextEncoder'])
    def test_other_activation(self, model, tag, act, expected, part, no_download):
        """Refused before anything is fetched."""
        right, wrong = dict(act=expected), dict(act=act)
        vision, text = (wrong, right) if part == 'CrossFrameViT' else (right, wrong)
        small = xclip(backbone=VISION | vision, cls_head=HEAD | dict(text_encoder=TEXT | text))
        match = rf"{part} has act='{act}', but {model}/{tag} was trained with '{expected}'; set act"
        with pytest.raises(ConfigError, match=match):
            OpenCLIPPretrained(tag, model)(small)
        assert no_download == []

    def test_right_activation(self, no_download):
        with pytest.raises(CheckpointError, match='could not be had'):
            OpenCLIPPretrained('metaclip_400m', 'ViT-B-32')(xclip())

    def test_other_activation_of_a_local_file(self, tmp_path):
        as_state_dict(clip().state_dict(), tmp_path / 'a.pth')
        with pytest.raises(ConfigError, match=r"has act='quick_gelu', but ViT-B-16/.*'gelu'"):
            OpenCLIPPretrained(str(tmp_path / 'a.pth'), 'ViT-B-16')(xclip())


def test_building_never_touches_the_network(monkeypatch, no_download):
    """Not even with weights named by tag; they are fetched in ``init_weights`` alone."""

    def refuse(*_args, **_kwargs):
        raise AssertionError('the network was asked')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    init = dict(type='OpenCLIPPretrained', model='ViT-B-16-quickgelu', pretrained='openai')
    model = MODELS.build(
        dict(
            type='XCLIP',
            backbone=dict(VISION, init_cfg=init),
            neck=NECK,
            cls_head=dict(
                HEAD,
                classes=None,
                text_encoder=dict(type='CLIPTextEncoder', model='ViT-S-16-alt', init_cfg=init),
                patch_channels=20,
                in_channels=24,
                prompt=dict(num_layers=1),
            ),
            init_cfg=init,
        )
    )
    assert no_download == []
    with pytest.raises(CheckpointError, match='could not be had from'):
        model.backbone.init_weights()
    assert len(no_download) == 1


class TestPackaged:
    @pytest.fixture
    def shipped(self, monkeypatch, tmp_path) -> Path:
        """A package that ships one file, with a stray one outside the folder."""
        folder = tmp_path / 'resources' / 'weights'
        folder.mkdir(parents=True)
        as_safetensors(clip().state_dict(), folder / 'small.safetensors')
        as_safetensors(clip().state_dict(), tmp_path / 'stray.safetensors')
        monkeypatch.setattr(module.resources, 'files', lambda _: tmp_path)
        return folder

    def test_shipped(self, shipped):
        model = xclip()
        OpenCLIPPretrained('mmxclip::small.safetensors')(model)
        assert torch.equal(model.backbone.proj, clip().visual.proj)

    @pytest.mark.parametrize(
        'name',
        [
            'other.safetensors',
            '../x',
            '../../stray.safetensors',
            '../weights/small.safetensors',
            '/etc/passwd',
            './small.safetensors',
            '',
        ],
    )
    def test_others_are_refused(self, shipped, name):
        match = rf'mmxclip::{name} is not shipped with mmxclip; shipped: small.safetensors'
        with pytest.raises(CheckpointError, match=match):
            OpenCLIPPretrained(f'mmxclip::{name}')(xclip())

    def test_absolute_paths_are_refused(self, shipped):
        path = shipped.parents[1] / 'stray.safetensors'
        with pytest.raises(CheckpointError, match='is not shipped'):
            OpenCLIPPretrained(f'mmxclip::{path}')(xclip())


class TestTokenRows:
    """Of a small model's token table only the used rows are stored."""

    IDS = torch.tensor([5, 49407, 49406])

    def rows(self) -> Tensor:
        return torch.arange(3.0 * TEXT_WIDTH).reshape(3, TEXT_WIDTH) + 1

    def test_expanded(self):
        rows = self.rows()
        state = {TOKEN_ROWS: rows, TOKEN_IDS: self.IDS, 'other': rows}
        table = expand_token_rows(state)
        assert set(table) == {TOKEN_ROWS, 'other'}
        assert table[TOKEN_ROWS].shape == (CLIP_VOCAB_SIZE, TEXT_WIDTH)
        assert torch.equal(table[TOKEN_ROWS][self.IDS], rows)
        assert table[TOKEN_ROWS].sum() == rows.sum()
        assert set(state) == {TOKEN_ROWS, TOKEN_IDS, 'other'}  # the caller's own

    @pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
    def test_dtype(self, dtype):
        state = {TOKEN_ROWS: self.rows().to(dtype), TOKEN_IDS: self.IDS.int()}
        assert expand_token_rows(state)[TOKEN_ROWS].dtype == dtype

    def test_whole_tables_pass(self):
        state = {TOKEN_ROWS: self.rows()}
        assert torch.equal(expand_token_rows(state)[TOKEN_ROWS], self.rows())

    def test_through_a_file(self, tmp_path):
        theirs = clip()
        used = torch.unique(module_tokens(theirs))
        state = theirs.state_dict()
        state[TOKEN_ROWS] = state[TOKEN_ROWS][used].clone()
        as_safetensors({**state, TOKEN_IDS: used}, tmp_path / 'small.safetensors')
        model = xclip()
        OpenCLIPPretrained(str(tmp_path / 'small.safetensors'))(model)
        tower = model.cls_head.text_encoder.tower
        whole = theirs.token_embedding.weight
        assert torch.equal(tower.token_embedding.weight[used], whole[used])
        assert tower.token_embedding.weight.count_nonzero() == whole[used].count_nonzero()

    @pytest.mark.parametrize(
        'ids',
        [
            torch.tensor([5, 6]),
            torch.tensor([5, 6, 7, 8]),
            torch.tensor([5, 6, CLIP_VOCAB_SIZE]),
            torch.tensor([-1, 5, 6]),
            torch.tensor([[5, 6, 7]]),
            torch.tensor([5, 6, 6]),
            torch.tensor([5.0, 6.0, 7.5]),
        ],
        ids=['fewer', 'more', 'beyond', 'negative', 'shape', 'doubled', 'fractional'],
    )
    def test_damaged(self, ids):
        match = r'token_embedding.ids .* does not number the rows of token_embedding.weight \(3, 16'
        with pytest.raises(CheckpointError, match=match):
            expand_token_rows({TOKEN_ROWS: self.rows(), TOKEN_IDS: ids})

    def test_rows_missing(self):
        with pytest.raises(
            CheckpointError, match=r'token_embedding.ids .* no token_embedding.weig'
        ):
            expand_token_rows({TOKEN_IDS: self.IDS})


def module_tokens(model: nn.Module) -> Tensor:
    """Every token id of the class names."""
    import open_clip

    return open_clip.tokenize(list(CLASSES), context_length=model.context_length)


def test_errors_are_the_users_to_mend():
    """What the command line prints as one line."""
    assert issubclass(CheckpointError, MMXCLIPError)
    assert issubclass(ConfigError, MMXCLIPError)
