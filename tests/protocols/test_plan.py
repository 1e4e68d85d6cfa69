"""From a config's ``protocol`` to runs, and what is refused on the way."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxclip.apis.launch import load_config
from mmxclip.errors import ConfigError
from mmxclip.protocols.plan import PROTOCOLS, fill, make_plan

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LIST = 'train_dataloader.dataset.ann_file'
FEWSHOT = dict(
    name='fewshot',
    benchmark='hmdb51',
    axes=dict(shots=[2, 4], seed=[0, 1]),
    options={LIST: '{shots}shot_seed{seed}.txt', 'randomness.seed': '{seed}'},
)
BASE2NOVEL = dict(
    name='base2novel',
    benchmark='ucf101',
    axes=dict(seed=[0, 1]),
    options={LIST: 'seed{seed}.txt'},
    evaluations=dict(
        base={'model.cls_head.classes': 'base.csv'},
        novel={'model.cls_head.classes': 'novel.csv'},
    ),
)
SUPERVISED = dict(name='supervised', benchmark='kinetics400')


def config(protocol):
    return Config(
        dict(
            model=dict(cls_head=dict(classes=['a'], template='{}')),
            train_dataloader=dict(dataset=dict(ann_file='train.txt', pipeline=[dict(type='A')])),
            protocol=protocol,
        )
    )


def plan(protocol, name=None, **options):
    return make_plan(config(protocol), 'run.py', name or protocol['name'], **options)


def test_every_combination_in_order():
    made = plan(FEWSHOT)
    assert (made.protocol, made.benchmark, made.train) == ('fewshot', 'hmdb51', True)
    assert [run.name for run in made.runs] == [
        *('shots2_seed0', 'shots2_seed1', 'shots4_seed0', 'shots4_seed1')
    ]
    last = made.runs[-1]
    assert last.values == dict(shots=4, seed=1)
    assert last.options == {LIST: '4shot_seed1.txt', 'randomness.seed': 1}
    assert last.evaluations == {'test': {}}


def test_evaluations_come_in_the_order_of_the_protocol():
    swapped = BASE2NOVEL | dict(evaluations=dict(reversed(BASE2NOVEL['evaluations'].items())))
    for run in plan(swapped).runs:
        assert list(run.evaluations) == ['base', 'novel']
        assert run.evaluations['novel'] == {'model.cls_head.classes': 'novel.csv'}


def test_no_axes_are_one_run():
    assert [run.name for run in plan(SUPERVISED).runs] == ['run']
    assert plan(SUPERVISED).train
    assert not plan(SUPERVISED, test_only=True).train
    assert not plan(SUPERVISED | dict(train=False)).train


def test_selection_keeps_order_and_types():
    made = plan(FEWSHOT, selected=dict(seed=['1'], shots=['4', '2']))
    assert made.axes == dict(shots=[2, 4], seed=[1])
    assert [run.name for run in made.runs] == ['shots2_seed1', 'shots4_seed1']


@pytest.mark.parametrize(
    ('template', 'expected'),
    [
        ('{seed}', 3),
        ('list_{seed}.txt', 'list_3.txt'),
        ('{seed}{seed}', '33'),
        ('a video of {{}}', 'a video of {}'),
        ('plain', 'plain'),
        ('', ''),
        (7, 7),
        (None, None),
        (['{seed}', dict(x='s{seed}')], [3, dict(x='s3')]),
    ],
)
def test_fill(template, expected):
    filled = fill(template, dict(seed=3), 'key')
    assert filled == expected
    assert type(filled) is type(expected)


@pytest.mark.parametrize(
    'template', ['{sead}', '{}', '{0}', '{seed.real}', '{seed[0]}', '{seed!r}', '{seed:03d}']
)
def test_strange_placeholder(template):
    with pytest.raises(ConfigError, match=r'is none of its axes \(seed\); name an axis'):
        fill(template, dict(seed=3), 'key')


def test_unmatched_brace():
    with pytest.raises(ConfigError, match=r"option 'key' is '\{seed', which is no template"):
        fill('{seed', dict(seed=3), 'key')


@pytest.mark.parametrize(
    ('protocol', 'complaint'),
    [
        (None, r"config 'run.py' has no protocol; add protocol=dict\(name='fewshot'"),
        ([], 'is of type list, expected a dict'),
        (FEWSHOT | dict(splits=[1]), 'has unknown keys splits; expected name, benchmark'),
        (FEWSHOT | dict(name='shots'), "protocol.name of config 'run.py' is 'shots', expected one"),
        (BASE2NOVEL, 'is for the protocol base2novel, and fewshot was asked for'),
        (FEWSHOT | dict(benchmark='hmdb'), "protocol.benchmark .* is 'hmdb', expected one of hm"),
        (FEWSHOT | dict(train=False), 'is False, and fewshot trains; set True or leave it out'),
        (FEWSHOT | dict(axes=None), 'axes of config .* are none, expected shots and seed'),
        (FEWSHOT | dict(axes=dict(seed=[0])), 'axes of config .* are seed, expected shots and'),
        (
            FEWSHOT | dict(axes=dict(shots=[2], seed=[0], split=[1])),
            'are shots and seed and split, expected shots and seed with',
        ),
        (FEWSHOT | dict(axes=dict(shots=2, seed=[0])), 'axes.shots of .* is 2, expected a list'),
        (FEWSHOT | dict(axes=dict(shots=[], seed=[0])), r'axes.shots of .* is \[\], expected'),
        (FEWSHOT | dict(axes=dict(shots=[2, 2], seed=[0])), 'a list of different values'),
        (FEWSHOT | dict(axes=dict(shots=['../x'], seed=[0])), 'numbers or short names'),
        (FEWSHOT | dict(options=[LIST]), 'protocol.options is .*, expected a dict of dotted'),
        (FEWSHOT | dict(options={LIST: '{shots}'}), 'axes.seed of .* stands in no option'),
        (
            FEWSHOT | dict(options={'train_dataloader.dataset.anfile': '{shots}{seed}'}),
            "option 'train_dataloader.dataset.anfile' is no setting of config 'run.py'",
        ),
        (
            FEWSHOT | dict(options={'train_dataloader.dataset.pipeline.1.type': '{shots}{seed}'}),
            'is no setting of config',
        ),
        (FEWSHOT | dict(options={LIST: '{shots}{seed}{x}'}), "'x' is none of its axes"),
        (FEWSHOT | dict(evaluations=dict(a={})), 'evaluations of .* are a, expected none'),
        (
            BASE2NOVEL | dict(evaluations=dict(base={})),
            'evaluations of .* are base, expected base and novel',
        ),
        (BASE2NOVEL | dict(evaluations=None), 'evaluations of .* are none, expected base and'),
        (
            BASE2NOVEL | dict(evaluations=dict(base={}, novel='x')),
            "protocol.evaluations.novel is 'x', expected a dict",
        ),
        (
            dict(name='zeroshot', benchmark='ssv2', train=True, axes=dict(split=[1])),
            'is True, and zeroshot does not train; set False',
        ),
        (SUPERVISED | dict(axes=dict(shots=[2])), 'are shots, expected split and seed'),
    ],
)
def test_refused(protocol, complaint):
    name = protocol['name'] if isinstance(protocol, dict) else 'fewshot'
    asked = name if name in PROTOCOLS and protocol is not BASE2NOVEL else 'fewshot'
    with pytest.raises(ConfigError, match=complaint):
        plan(protocol, asked)


@pytest.mark.parametrize(
    ('selected', 'complaint'),
    [
        (dict(shots=['2', '3']), r'--axes shots=3: the protocol .* has shots=2,4, seed=0,1;'),
        (dict(split=['1']), r'--axes split=1: .* protocol.axes.split="\[...\]"'),
    ],
)
def test_selection_refused(selected, complaint):
    with pytest.raises(ConfigError, match=complaint):
        plan(FEWSHOT, selected=selected)


def test_config_is_not_changed():
    cfg = config(FEWSHOT)
    before = cfg.to_dict()
    make_plan(cfg, 'run.py', 'fewshot')
    assert cfg.to_dict() == before


SHIPPED = {path.stem: load_config(str(path)) for path in sorted(CONFIGS.glob('*.py'))}
WITH_PROTOCOL = [name for name, cfg in SHIPPED.items() if cfg.get('protocol')]


def test_configs_were_found():
    assert len(WITH_PROTOCOL) >= 25
    assert {cfg.protocol.name for cfg in map(SHIPPED.get, WITH_PROTOCOL)} == set(PROTOCOLS)
    assert {'zeroshot', 'base2novel', '2shot', '16shot'} <= {
        name.rsplit('_', 1)[-1] for name in WITH_PROTOCOL
    }


@pytest.mark.parametrize('name', WITH_PROTOCOL)
def test_config_has_a_plan(name):
    cfg = SHIPPED[name]
    made = make_plan(cfg, f'{name}.py', cfg.protocol.name)
    expected = dict(zeroshot=3, fewshot=12, base2novel=3)
    splits = 3 if made.benchmark in ('hmdb51', 'ucf101') else 1
    assert len(made.runs) == expected.get(made.protocol, splits)
    options = [{**run.options, **more} for run in made.runs for more in run.evaluations.values()]
    assert len({str(sorted(map(str, one.items()))) for one in options}) == len(options)
    for run in made.runs:  # every option finds its place
        for more in run.evaluations.values():
            whole = copy.deepcopy(cfg)
            whole.merge_from_dict({**run.options, **more})
