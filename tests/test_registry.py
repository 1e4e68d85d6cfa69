"""Every component answers to its plain and to its prefixed name, whoever is asked and when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from mmengine.registry import DefaultScope, Registry

import mmxclip.registry
from mmxclip.registry import MODELS, PairedRegistry

PAIRED = {
    name: value
    for name, value in vars(mmxclip.registry).items()
    if isinstance(value, PairedRegistry)
}
Component = tuple[PairedRegistry, str, type]


@pytest.fixture(scope='module')
def components() -> list[Component]:
    """Every component of the package with its registry and plain name."""
    for registry in PAIRED.values():
        registry.import_from_location()
    found = [
        (registry, name, component)
        for registry in PAIRED.values()
        for name, component in registry.module_dict.items()
    ]
    names = {name for _, name, _ in found}
    assert {'XCLIP', 'CrossFrameViT', 'OpenCLIPPretrained', 'XCLIPOptimWrapperConstructor'} <= names
    return found


@pytest.fixture
def scope() -> Iterator[type[DefaultScope]]:
    """The table of default scopes, empty; the shared fixture restores it."""
    DefaultScope._instance_dict.clear()
    return DefaultScope


def test_plain_names_in_the_host(components):
    for registry, name, component in components:
        assert registry.host.get(name) is component, name


def test_prefixed_names_in_the_host(components):
    for registry, name, component in components:
        assert registry.host.get(f'mmxclip.{name}') is component, name


def test_prefixed_names_in_the_root(components):
    """MMEngine's root registry is what builds without a default scope."""
    for registry, name, component in components:
        assert registry.parent.scope == 'mmengine'
        assert registry.parent.get(f'mmxclip.{name}') is component, name


def test_plain_names_in_our_own(components):
    for registry, name, component in components:
        assert registry.get(name) is component, name


def test_components_live_in_the_package(components):
    """Guards the other tests: nothing of the host's has slipped into our registries."""
    for _, name, component in components:
        assert component.__module__.startswith('mmxclip.'), name


@pytest.mark.parametrize(
    ('default_scope', 'type_name'),
    [
        ('mmaction', 'FrameAverage'),
        ('mmaction', 'mmxclip.FrameAverage'),
        ('mmxclip', 'FrameAverage'),
        ('mmxclip', 'mmxclip.FrameAverage'),
        (None, 'mmxclip.FrameAverage'),
    ],
)
@pytest.mark.parametrize('asked', ['root', 'host', 'ours'])
def test_building_under_a_scope(scope, default_scope, type_name, asked):
    if default_scope is not None:
        scope.get_instance('test', scope_name=default_scope)
    registry: Registry = {'root': MODELS.parent, 'host': MODELS.host, 'ours': MODELS}[asked]
    built = registry.build(dict(type=type_name))
    assert type(built) is MODELS.get('FrameAverage')


def test_a_whole_model_builds_by_prefixed_names_without_a_scope(scope):
    tower = dict(output_dims=16, embed_dims=8, num_layers=1, num_heads=2)
    model = MODELS.parent.build(
        dict(
            type='mmxclip.XCLIP',
            backbone=dict(type='mmxclip.CrossFrameViT', img_size=8, patch_size=4, **tower),
            neck=dict(type='mmxclip.MultiFrameIntegrationTransformer', embed_dims=16, num_heads=2),
            cls_head=dict(
                type='mmxclip.VideoPromptHead',
                classes=['running', 'walking'],
                patch_channels=8,
                text_encoder=dict(type='mmxclip.CLIPTextEncoder', **tower),
            ),
        )
    )
    assert type(model) is MODELS.get('XCLIP')
    assert model.cls_head.classes == ('running', 'walking')


@pytest.mark.parametrize('type_name', ['CrossFrameVit', 'mmxclip.CrossFrameVit'])
def test_unknown_names_are_refused(type_name):
    with pytest.raises(KeyError, match='CrossFrameVit is not in the'):
        MODELS.host.build(dict(type=type_name))


def test_a_second_class_of_the_same_name_is_refused():
    first = MODELS.get('FrameAverage')
    with pytest.raises(KeyError, match='FrameAverage is already registered'):
        MODELS.register_module(module=type('FrameAverage', (), {}))
    assert MODELS.get('FrameAverage') is first
    assert MODELS.host.get('FrameAverage') is first


def test_a_name_that_the_host_uses_is_refused_in_both():
    with pytest.raises(KeyError, match='TSNHead is already registered'):
        MODELS.register_module(module=type('TSNHead', (), {}))
    assert MODELS.host.get('TSNHead').__module__.startswith('mmaction.')
    assert 'TSNHead' not in MODELS.module_dict


BEFORE = """
from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS as HOST
assert HOST.get('SwinOptimWrapperConstructor') is not None
assert HOST.get('XCLIPOptimWrapperConstructor') is None
import mmxclip
print(HOST.get('XCLIPOptimWrapperConstructor').__module__)
"""
AFTER = """
import mmxclip
from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS as HOST
assert not HOST._imported
print(HOST.get('XCLIPOptimWrapperConstructor').__module__)
"""
BY_PREFIX_ALONE = """
from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS as HOST
print(HOST.get('mmxclip.XCLIPOptimWrapperConstructor').__module__)
"""


@pytest.mark.parametrize(
    'program',
    [
        pytest.param(BEFORE, id='host-asked-before-our-import'),
        pytest.param(AFTER, id='host-asked-after-our-import'),
        pytest.param(BY_PREFIX_ALONE, id='never-imported-by-the-user'),
    ],
)
def test_order_of_imports(program):
    """Each in a process of its own, since a registry imports its locations once."""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == 'mmxclip.engine.optimizers.xclip_constructor'


def test_parts_of_the_host_are_found_from_this_scope(scope):
    """Configs that inherit from ``mmxclip::…`` are built in it, visualizers and all."""
    from mmengine import registry as root

    with root.VISUALIZERS.switch_scope_and_registry('mmxclip') as registry:
        assert registry.scope == 'mmxclip'
        assert registry.get('ActionVisualizer').__module__.startswith('mmaction')
        assert registry.get('LocalVisBackend') is None  # another kind
    with root.TRANSFORMS.switch_scope_and_registry('mmxclip') as registry:
        assert registry.get('Flip').__module__.startswith('mmaction')
        assert registry.get('SegmentSampleFrames').__module__.startswith('mmxclip')
    with root.HOOKS.switch_scope_and_registry('mmxclip') as registry:
        assert registry.get('CheckpointHook').__module__.startswith('mmengine')
        assert registry.get('NoSuchHook') is None


def test_every_kind_of_the_host_has_its_pair():
    import mmaction.registry as host

    for registry in vars(host).values():
        # MMAction2's tokenizers stand alone
        if isinstance(registry, Registry) and registry.parent is not None:
            assert 'mmxclip' in registry.parent.children, registry.name
