# The same for 336 pixels: the short side is 384 then.
_base_ = './video_224.py'

augmentation = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 384)),
    dict(
        type='MultiScaleCrop',
        input_size=336,
        scales=(1, 0.875, 0.75, 0.66),
        max_wh_scale_gap=1,
        random_crop=False,
        num_fixed_crops=5,
    ),
    dict(type='Resize', scale=(336, 336), keep_ratio=False),
    *_base_.augmentation[4:],  # flip, colour jitter, grey
]
centre = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 384)),
    dict(type='CenterCrop', crop_size=336),
]
three_crops = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 336)),
    dict(type='ThreeCrop', crop_size=336),
]
