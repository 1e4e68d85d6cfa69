"""MMAction2's inferencers, taught the names of our configs and of classes.

Put in place by :mod:`mmxclip.compat` when the modules are imported.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

TOP_K = 5


def know_our_models(module: ModuleType) -> None:
    """Let ``ActionRecogInferencer`` find configs of this package, and name what it predicts.

    It looks models up in one package alone, MMAction2's unless told otherwise;
    told ours, it does not find MMAction2's transforms any more. And a prediction
    is a number, which means something with the list of classes only: beside
    ``pred_labels`` and ``pred_scores`` there are ``pred_names``, likeliest first.
    """
    inferencer: Any = module.ActionRecogInferencer
    if getattr(inferencer, 'knows_mmxclip', False):
        return
    load = inferencer._load_model_from_metafile
    to_dict = inferencer.pred2dict

    @functools.wraps(load)
    def load_model(self: Any, model: str) -> tuple[Any, str | None]:
        from mmengine.config import Config

        from mmxclip.apis.config_names import shipped_configs
        from mmxclip.zoo import published_models

        path = shipped_configs().get(model.lower())
        if path is None:
            return load(self, model)
        known = published_models().get(path.stem)
        return Config.fromfile(path), known.weights if known is not None else None

    @functools.wraps(to_dict)
    def pred2dict(self: Any, data_sample: Any) -> dict[str, Any]:
        result = to_dict(self, data_sample)
        names = getattr(getattr(self.model, 'cls_head', None), 'classes', None)
        if names is not None:
            order = data_sample.pred_score.argsort(descending=True, stable=True)
            result['pred_names'] = [names[index] for index in order[:TOP_K].tolist()]
        return result

    inferencer._load_model_from_metafile = load_model
    inferencer.pred2dict = pred2dict
    inferencer.knows_mmxclip = True


def pass_names_on(module: ModuleType) -> None:
    """Let ``MMAction2Inferencer`` hand out the names, as ``rec_names``."""
    inferencer: Any = module.MMAction2Inferencer
    if getattr(inferencer, 'knows_mmxclip', False):
        return
    postprocess = inferencer.postprocess

    @functools.wraps(postprocess)
    def with_names(
        self: Any,
        preds: dict[str, Any],
        visualization: Any = None,
        print_result: bool = False,
        pred_out_file: str = '',
    ) -> dict[str, Any]:
        import mmengine

        result = postprocess(self, preds, visualization)
        for prediction, samples in zip(result['predictions'], preds.get('rec', ()), strict=True):
            found = [self.actionrecog_inferencer.pred2dict(sample) for sample in samples]
            if all('pred_names' in item for item in found):
                prediction['rec_names'] = [item['pred_names'] for item in found]
        plain = {'predictions': result['predictions']}
        if print_result:
            print(plain)  # noqa: T201  (what was asked for)
        if pred_out_file:
            mmengine.dump(plain, pred_out_file)
        return result

    inferencer.postprocess = with_names
    inferencer.knows_mmxclip = True
