"""All checks in a row, and the few that a run makes before it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmxclip.apis.config_names import find_config
from mmxclip.doctor.data import check_data, missing_files
from mmxclip.doctor.finding import OK, PROBLEM, Finding
from mmxclip.doctor.machine import check_machine
from mmxclip.doctor.model import check_checkpoint, check_model, check_weights
from mmxclip.doctor.parts import check_parts
from mmxclip.doctor.resources import check_resources, check_room
from mmxclip.errors import ConfigError

VIDEOS, VIDEOS_QUICK = 8, 1


def examine(
    config: str | None = None, checkpoint: str | None = None, quick: bool = False
) -> Iterator[Finding]:
    """Check the machine and, with a config, all that a run of it needs.

    Args:
        config: path, or name of a shipped config; None for the machine alone.
        checkpoint: weights to hold against the model.
        quick: decode one video of each split instead of eight.

    Yields:
        Findings, as they are made.
    """
    yield from check_machine()
    if config is None:
        return
    from mmxclip.apis.launch import load_config

    try:
        path = find_config(config)
        cfg = load_config(str(path))
    except ConfigError as error:
        yield Finding('config', PROBLEM, str(error), 'mmxclip models lists the shipped configs')
        return
    yield Finding('config', OK, str(path))
    if cfg.get('model') is None:
        yield Finding('model', PROBLEM, f'{path} has no model', 'give the config of a run')
        return
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    cfg.setdefault('work_dir', os.path.join('work_dirs', Path(path).stem))
    finding, model = check_model(cfg)
    yield finding
    yield check_parts(cfg)
    yield from check_weights(cfg)
    yield from check_data(cfg, VIDEOS_QUICK if quick else VIDEOS)
    if model is not None:
        yield from check_resources(cfg, model)
        if checkpoint is not None:
            yield check_checkpoint(checkpoint, model)


def refuse_certain_failure(cfg: Config, config: str, trains: bool) -> None:
    """End a run that would end anyway, before anything is built.

    Looks at lists, folders of videos, local weights, and, in training, at the room
    for one checkpoint. ``doctor=False`` in a config turns it off.

    Args:
        cfg: a whole config.
        config: its path, for the message.
        trains: whether it is for training, which needs other data than testing.

    Raises:
        ConfigError: names the first of what is missing, and the way out.
    """
    if not cfg.get('doctor', True):
        return
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    if trains:
        findings = [*missing_files(cfg, ('train', 'val')), *check_weights(cfg)]
        if (
            str((cfg.get('model') or {}).get('type')).rsplit('.', 1)[-1] == 'XCLIP'
        ):  # others may dislike meta
            _, model = check_model(cfg)
            findings += [check_room(cfg, model)] if model is not None else []
    else:
        findings = [*missing_files(cfg, ('test',))]
    problems = [finding for finding in findings if finding.level == PROBLEM]
    if not problems:
        return
    first = problems[0]
    more = f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''
    raise ConfigError(
        f'{first.check}: {first.message}{more}; {first.remedy}; '
        f'mmxclip doctor {config} checks the rest'
    )
