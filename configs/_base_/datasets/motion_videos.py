# Videos of moving shapes, written below data_root by the first run.
data_root = 'data/motion'
meta_keys = ('img_shape', 'filename', 'unreadable', 'true_label')

# The decoder runs in the loader's own process: these files are known to be whole, and for
# ten kilobytes of video the way to another process and back would be half of the time.
train_pipeline = [
    dict(type='RobustDecordInit', isolate=False, on_error='replace'),
    dict(type='SegmentSampleFrames', clip_len=8),
    dict(type='RobustDecordDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='RobustDecordInit', isolate=False, on_error='count'),
    dict(type='SegmentSampleFrames', clip_len=8, test_mode=True),
    dict(type='RobustDecordDecode'),
    # for the placeholder of a video that cannot be read; the others have this size already
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MotionDataset',
        split='train',
        num_videos=3840,
        data_root=data_root,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset',
        split='val',
        data_root=data_root,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='VideoAccMetric')
test_evaluator = val_evaluator
