"""A user's config that inherits from a shipped one by the package's name."""

import pytest
from mmaction.registry import DATASETS, MODELS, VISUALIZERS
from mmengine.config import Config


def test_from_the_package(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(
        "_base_ = 'mmxclip::_base_/../xclip_tiny_motion.py'\n"
        'model = dict(backbone=dict(drop_path_rate=0.1))\n'
    )
    cfg = Config.fromfile(path)
    model = MODELS.build(cfg.model)
    assert type(model).__name__ == 'XCLIP'
    assert model.backbone.blocks[-1].drop_path.p == pytest.approx(0.1)
    assert (
        type(
            VISUALIZERS.build(dict(cfg.visualizer, name='inherited', save_dir=str(tmp_path)))
        ).__name__
        == 'ActionVisualizer'
    )
    dataset = dict(cfg.train_dataloader.dataset, num_videos=2, data_root=str(tmp_path))
    assert DATASETS.build(dataset)[0]['inputs'].shape == (1, 3, 8, 64, 64)
