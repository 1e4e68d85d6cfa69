"""From the ``protocol`` of a config to the list of runs that it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from string import Formatter
from typing import Any

from mmengine.config import Config

from mmxclip.errors import ConfigError

BENCHMARKS = ('hmdb51', 'ucf101', 'kinetics400', 'kinetics600', 'ssv2')
KEYS = ('name', 'benchmark', 'train', 'axes', 'options', 'evaluations')
ONLY = 'test'
"""Name of the evaluation of protocols that have one."""

EVERY_RUN_HAS = ('randomness.seed', 'randomness.deterministic', 'randomness.diff_rank_seed')
"""Settings that MMEngine gives a value when the config has none."""

HOW_TO = (
    "add protocol=dict(name='{name}', benchmark='hmdb51', axes=dict(...), options=dict(...)); "
    'docs/protocols.md shows one for each protocol'
)
_FOLDER_NAME = re.compile(r'[\w.+-]+')


@dataclass(frozen=True)
class Rules:
    """What a protocol allows.

    Args:
        trains: whether its runs train; None where the config decides.
        axes: those that it must have.
        more_axes: those that it may have.
        evaluations: of each run.
    """

    trains: bool | None
    axes: tuple[str, ...] = ()
    more_axes: tuple[str, ...] = ()
    evaluations: tuple[str, ...] = (ONLY,)


PROTOCOLS = {
    'zeroshot': Rules(False, axes=('split',)),
    'fewshot': Rules(True, axes=('shots', 'seed')),
    'base2novel': Rules(True, axes=('seed',), evaluations=('base', 'novel')),
    'supervised': Rules(None, more_axes=('split', 'seed')),
}


@dataclass(frozen=True)
class Run:
    """One combination of values of the axes.

    Args:
        name: of its folder.
        values: by axis.
        options: dotted keys of the config and their values.
        evaluations: further options for each test, by name.
    """

    name: str
    values: dict[str, Any]
    options: dict[str, Any]
    evaluations: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """All runs of a protocol, in the order in which they are made."""

    protocol: str
    benchmark: str
    train: bool
    axes: dict[str, list[Any]]
    runs: list[Run] = field(default_factory=list)


def make_plan(
    cfg: Config,
    path: str,
    name: str,
    selected: Mapping[str, Sequence[str]] | None = None,
    test_only: bool = False,
) -> Plan:
    """Read ``cfg.protocol`` and list the runs.

    Args:
        cfg: a whole config.
        path: of the config, for messages.
        name: of the protocol that was asked for.
        selected: values of axes to restrict the runs to, as text.
        test_only: leave out training.

    Raises:
        ConfigError: the config has no such protocol, or one that contradicts
            itself or the config.
    """
    protocol = _read(cfg, path, name)
    rules = PROTOCOLS[name]
    train = _trains(protocol, rules, path, name) and not test_only
    axes = _axes(protocol, rules, path)
    options = _options(protocol.get('options'), 'options')
    evaluations = _evaluations(protocol, rules, path)
    _check_keys(cfg, path, [options, *evaluations.values()])
    _check_use(axes, [options, *evaluations.values()], path)
    axes = _select(axes, selected or {}, path)
    runs = []
    for combination in product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        runs.append(
            Run(
                '_'.join(f'{axis}{value}' for axis, value in values.items()) or 'run',
                values,
                _filled(options, values),
                {key: _filled(more, values) for key, more in evaluations.items()},
            )
        )
    return Plan(name, protocol['benchmark'], train, axes, runs)


def fill(template: Any, values: Mapping[str, Any], key: str) -> Any:
    """Put the values of axes into a template.

    A text that is one placeholder becomes the value itself, a number for
    ``'{seed}'``; within other text a value is written out. ``{{`` and ``}}``
    stand for braces. Texts within lists and dicts are filled alike; anything
    else stays.

    Args:
        template: the value of an option.
        values: by axis.
        key: of the option, for messages.

    Raises:
        ConfigError: a placeholder that is no axis, or braces that do not match.
    """
    if isinstance(template, Mapping):
        return {name: fill(part, values, key) for name, part in template.items()}
    if isinstance(template, (list, tuple)):
        return [fill(part, values, key) for part in template]
    if not isinstance(template, str):
        return template
    pieces = _pieces(template, key)
    for _, placeholder in pieces:
        if placeholder is not None and placeholder not in values:
            raise ConfigError(
                f'protocol option {key!r} is {template!r}, and {placeholder!r} is none of its '
                f'axes ({", ".join(values) or "it has none"}); name an axis within the braces, or '
                'write braces that are meant twice'
            )
    if len(pieces) == 1 and pieces[0][0] == '' and pieces[0][1] is not None:
        return values[pieces[0][1]]
    return ''.join(
        text + ('' if placeholder is None else str(values[placeholder]))
        for text, placeholder in pieces
    )


def _pieces(template: str, key: str) -> list[tuple[str, str | None]]:
    """Text and what stands within braces after it; formats count as part of a name."""
    try:
        return [
            (text, None if name is None else name + '!' * bool(mark) + ':' * bool(spec))
            for text, name, spec, mark in Formatter().parse(template)
        ]
    except ValueError as error:
        raise ConfigError(
            f'protocol option {key!r} is {template!r}, which is no template ({error}); write '
            'braces that are meant twice'
        ) from error


def _read(cfg: Config, path: str, name: str) -> dict[str, Any]:
    """The protocol of the config, as plain data."""
    protocol = cfg.get('protocol')
    if protocol is None:
        raise ConfigError(f'config {path!r} has no protocol; {HOW_TO.format(name=name)}')
    if not isinstance(protocol, Mapping):
        raise ConfigError(
            f'protocol of config {path!r} is of type {type(protocol).__name__}, expected a dict; '
            f'{HOW_TO.format(name=name)}'
        )
    unknown = [key for key in protocol if key not in KEYS]
    if unknown:
        raise ConfigError(
            f'protocol of config {path!r} has unknown keys {", ".join(map(str, unknown))}; '
            f'expected {", ".join(KEYS)}'
        )
    own = protocol.get('name')
    if own not in PROTOCOLS:
        raise ConfigError(
            f'protocol.name of config {path!r} is {own!r}, expected one of {", ".join(PROTOCOLS)}'
        )
    if own != name:
        raise ConfigError(
            f'config {path!r} is for the protocol {own}, and {name} was asked for; give a config '
            f'of {name}, or run {own}'
        )
    if protocol.get('benchmark') not in BENCHMARKS:
        raise ConfigError(
            f'protocol.benchmark of config {path!r} is {protocol.get("benchmark")!r}, expected '
            f'one of {", ".join(BENCHMARKS)}'
        )
    return cfg.to_dict()['protocol']


def _trains(protocol: Mapping[str, Any], rules: Rules, path: str, name: str) -> bool:
    default = rules.trains is not False
    train = protocol.get('train', default)
    if rules.trains is not None and train is not rules.trains:
        raise ConfigError(
            f'protocol.train of config {path!r} is {train!r}, and {name} '
            f'{"trains" if rules.trains else "does not train"}; set {rules.trains} or leave it out'
        )
    return bool(train)


def _axes(protocol: Mapping[str, Any], rules: Rules, path: str) -> dict[str, list[Any]]:
    axes = protocol.get('axes') or {}
    allowed = rules.axes + rules.more_axes
    if not isinstance(axes, Mapping) or not set(rules.axes) <= set(axes) <= set(allowed):
        raise ConfigError(
            f'protocol.axes of config {path!r} are {_listed(axes)}, expected '
            f'{_listed(rules.axes or allowed)} with a list of values for each'
        )
    for axis, values in axes.items():
        good = isinstance(values, (list, tuple)) and len(values) > 0
        texts = [str(value) for value in values] if good else []
        if len(set(texts)) != len(texts) or not all(map(_FOLDER_NAME.fullmatch, texts)) or not good:
            raise ConfigError(
                f'protocol.axes.{axis} of config {path!r} is {values!r}, expected a list of '
                'different values, numbers or short names'
            )
    return {axis: list(values) for axis, values in axes.items()}


def _listed(names: Any) -> str:
    return ' and '.join(map(str, names)) if names else 'none'


def _options(options: Any, where: str) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise ConfigError(
            f'protocol.{where} is {options!r}, expected a dict of dotted keys of the config and '
            'their values'
        )
    return dict(options)


def _evaluations(protocol: Mapping[str, Any], rules: Rules, path: str) -> dict[str, dict[str, Any]]:
    given = protocol.get('evaluations')
    if given is None and rules.evaluations == (ONLY,):
        return {ONLY: {}}
    if not isinstance(given, Mapping) or set(given) != set(rules.evaluations):
        expected = 'none' if rules.evaluations == (ONLY,) else ' and '.join(rules.evaluations)
        raise ConfigError(
            f'protocol.evaluations of config {path!r} are {_listed(given)}, expected {expected}'
        )
    return {name: _options(given[name], f'evaluations.{name}') for name in rules.evaluations}


def _check_keys(cfg: Config, path: str, parts: list[dict[str, Any]]) -> None:
    """A mistyped key would be a setting that nobody reads."""
    whole = cfg.to_dict()
    for key in (key for options in parts for key in options):
        if key not in EVERY_RUN_HAS and not _has(whole, key):
            raise ConfigError(
                f'protocol option {key!r} is no setting of config {path!r}; give it a value there '
                'if it is meant'
            )


def _has(node: Any, key: str) -> bool:
    for part in key.split('.'):
        if isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, (list, tuple)) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return False
    return True


def _check_use(axes: Mapping[str, Any], parts: list[dict[str, Any]], path: str) -> None:
    """An axis that changes nothing would repeat the same run."""
    used = {name for options in parts for key in options for name in _used(options[key], key)}
    for axis in axes:
        if axis not in used:
            raise ConfigError(
                f'protocol.axes.{axis} of config {path!r} stands in no option, so that its runs '
                f'would be alike; write {{{axis}}} into an option, or leave the axis out'
            )


def _used(template: Any, key: str) -> Iterator[str]:
    """Names of placeholders."""
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, (list, tuple)):
        for part in template:
            yield from _used(part, key)
    elif isinstance(template, str):
        yield from (name for _, name in _pieces(template, key) if name is not None)


def _select(
    axes: dict[str, list[Any]], selected: Mapping[str, Sequence[str]], path: str
) -> dict[str, list[Any]]:
    for axis, wanted in selected.items():
        known = [str(value) for value in axes.get(axis, [])]
        strange = [text for text in wanted if text not in known]
        if axis not in axes or strange:
            what = ','.join(strange) if axis in axes else ','.join(wanted)
            raise ConfigError(
                f'--axes {axis}={what}: the protocol of config {path!r} has '
                f'{", ".join(f"{name}={_joined(values)}" for name, values in axes.items())}; '
                f'others are set by --cfg-options protocol.axes.{axis}="[...]"'
            )
    return {
        axis: [value for value in values if str(value) in selected.get(axis, [str(value)])]
        for axis, values in axes.items()
    }


def _joined(values: Sequence[Any]) -> str:
    return ','.join(map(str, values))


def _filled(options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: fill(template, values, key) for key, template in options.items()}
