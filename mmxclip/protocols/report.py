"""All that is to be said about a protocol that was run, as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxclip.protocols.fingerprint import INIT, of_checkpoint
from mmxclip.protocols.plan import Plan
from mmxclip.protocols.results import Estimate, Outcome, harmonic_by_run, summarize
from mmxclip.version import __version__
from mmxclip.zoo.published import PublishedResult, published

TITLES = {
    'zeroshot': 'Zero-shot',
    'fewshot': 'Few-shot',
    'base2novel': 'Base to novel',
    'supervised': 'Fully supervised',
}
BENCHMARKS = {
    'hmdb51': 'HMDB51',
    'ucf101': 'UCF101',
    'kinetics400': 'Kinetics-400',
    'kinetics600': 'Kinetics-600',
    'ssv2': 'Something-Something v2',
}


@dataclass(frozen=True)
class Report:
    """A protocol with its results.

    Args:
        plan: what was run.
        config: name of the config.
        facts: what a reader must know to compare, by heading.
        outcomes: all tests.
        estimates: the numbers that a paper reports.
        published: the authors' numbers for the same.
    """

    plan: Plan
    config: str
    facts: dict[str, str]
    outcomes: list[Outcome]
    estimates: list[Estimate]
    published: list[PublishedResult] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Protocol, benchmark and config."""
        return f'{TITLES[self.plan.protocol]}, {BENCHMARKS[self.plan.benchmark]}: {self.config}'

    def to_dict(self) -> dict[str, Any]:
        """Plain data, in which the same results are the same, whenever they were made."""
        data: dict[str, Any] = {
            'protocol': self.plan.protocol,
            'benchmark': self.plan.benchmark,
            'config': self.config,
            'mmxclip': __version__,
            'unit': 'percent',
            'std': 'sample standard deviation (over n - 1)',
            'facts': self.facts,
            'summary': [asdict(estimate) for estimate in self.estimates],
            'runs': [asdict(outcome) for outcome in self.outcomes],
        }
        if self.plan.protocol == 'base2novel':
            data['harmonic_mean_by_run'] = harmonic_by_run(self.outcomes)
        data['published'] = [asdict(row) for row in self.published]
        return data


def make_report(
    cfg: Config,
    path: str,
    plan: Plan,
    checkpoint: str,
    outcomes: list[Outcome],
    published: Iterable[PublishedResult],
) -> Report:
    """Gather everything.

    Args:
        cfg: a whole config.
        path: of the config.
        plan: what was run.
        checkpoint: as it was given.
        outcomes: from :meth:`mmxclip.protocols.runner.Walk.outcomes`.
        published: from :func:`published_for`.
    """
    name = Path(path).stem
    views = views_of(cfg, outcomes)
    return Report(
        plan,
        name,
        facts_of(cfg, plan, checkpoint, outcomes, views),
        outcomes,
        summarize(plan.protocol, outcomes, views),
        list(published),
    )


def facts_of(
    cfg: Config, plan: Plan, checkpoint: str, outcomes: Sequence[Outcome], views: str
) -> dict[str, str]:
    """What must be the same for numbers to be comparable."""
    facts = {'weights': _weights(cfg, checkpoint)}
    if plan.train:
        lengths = _distinct(outcome.trained['length'] for outcome in outcomes if outcome.trained)
        facts['training'] = f'{lengths}, the last checkpoint of each run is tested'
    else:
        facts['training'] = 'none, the weights are tested as they are'
    templates = _distinct(repr(o.template) for o in outcomes if o.template is not None)
    facts['class text'] = f'{templates}, {{}} being the name' if templates else 'no text tower'
    facts['classes'] = _distinct(_classes(cfg, plan))
    listed = sum(outcome.videos for outcome in outcomes)
    bad = sum(outcome.unreadable for outcome in outcomes)
    facts['videos'] = f'{listed - bad} of {listed} listed could be read' + (
        f'; the other {bad} count as wrong' if bad else ''
    )
    facts['input'] = f'{_distinct(map(_input, outcomes))}, {views}'
    return facts


def views_of(cfg: Config, outcomes: Sequence[Outcome]) -> str:
    """Clips times crops, such as ``'4x3 views'``; the number alone where that cannot be told."""
    shape = outcomes[0].input
    if shape is None or len(shape) != 5:
        return 'views unknown'
    clips = next(_values(cfg.get('test_dataloader'), 'num_clips'), 1)
    if shape[0] == 1:
        return 'single view'
    return f'{clips}x{shape[0] // clips} views' if shape[0] % clips == 0 else f'{shape[0]} views'


def published_for(plan: Plan, config: str) -> list[PublishedResult]:
    """The authors' numbers for the benchmark; for a supervised config that is theirs, its own."""
    rows = list(published(plan.protocol, plan.benchmark))
    own = [row for row in rows if row.config == config]
    return own if own and plan.protocol == 'supervised' else rows


def _weights(cfg: Config, checkpoint: str) -> str:
    if checkpoint == INIT:
        init = cfg.model.get('init_cfg')
        return f'those of the config: load_from={cfg.get("load_from")!r}, init_cfg={init!r}'
    digest = of_checkpoint(checkpoint)
    return checkpoint if digest == checkpoint else f'{checkpoint} (SHA-256 {digest}...)'


def _classes(cfg: Config, plan: Plan) -> Iterator[str]:
    """Lists of names, with their order where there are two."""
    for run in plan.runs:
        for more in run.evaluations.values():
            settings = {**run.options, **more}
            classes = settings.get('test_dataloader.dataset.classes') or next(
                _values(cfg.get('test_dataloader'), 'classes'), None
            )
            order = next(_values(cfg.get('test_dataloader'), 'label_order'), None)
            if classes is None:
                yield 'those of the data'
            elif isinstance(classes, str):
                yield classes + (f' in the order of {order}' if order else '')
            else:
                yield f'{len(classes)} names of the config'


def _input(outcome: Outcome) -> str:
    shape = outcome.input
    if shape is None or len(shape) != 5:
        return f'shape {shape}'
    _, _, frames, height, width = shape
    return f'{frames} frames of {width}x{height}'


def _values(node: Any, key: str) -> Iterator[Any]:
    """Values of ``key`` anywhere within ``node``, None left out."""
    if isinstance(node, Mapping):
        if node.get(key) is not None:
            yield node[key]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from _values(part, key)


def _distinct(texts: Iterable[str]) -> str:
    return ', '.join(dict.fromkeys(texts))
