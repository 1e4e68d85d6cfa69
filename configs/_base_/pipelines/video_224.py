# The steps of the published recipe that do not depend on the number of frames; 224 pixels.
#   training  short side 256, a crop of 1, 7/8, 3/4 or 2/3 of it, flip, colour jitter, grey
#   validation  short side 256, centre;  testing  short side 224, three crops of each clip
open_train = dict(type='RobustDecordInit', on_error='replace')
open_test = dict(type='RobustDecordInit', on_error='count')

augmentation = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(
        type='MultiScaleCrop',
        input_size=224,
        scales=(1, 0.875, 0.75, 0.66),
        max_wh_scale_gap=1,
        random_crop=False,
        num_fixed_crops=5,
    ),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    # strengths as published; MMAction2's ColorJitter has no probability, keeps one order of its
    # four steps for a whole run, and takes the unit of hue for another
    dict(
        type='RandomColorJitter',
        prob=0.8,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        per_frame=True,
    ),
    dict(type='TorchVisionWrapper', op='RandomGrayscale', p=0.2),
]
centre = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
]
three_crops = [
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
]
pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(
        type='PackActionInputs',
        meta_keys=('img_shape', 'filename', 'unreadable', 'true_label'),
    ),
]
