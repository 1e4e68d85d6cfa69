# 8 frames: a random one of each segment in training; 1 view to validate, 4 x 3 to test.
_base_ = './video_224.py'

train_pipeline = [
    _base_.open_train,
    dict(type='SegmentSampleFrames', clip_len=8),
    *_base_.augmentation,
    *_base_.pack,
]
val_pipeline = [
    _base_.open_test,
    dict(type='SegmentSampleFrames', clip_len=8, test_mode=True),
    *_base_.centre,
    *_base_.pack,
]
test_pipeline = [
    _base_.open_test,
    dict(type='SegmentSampleFrames', clip_len=8, num_clips=4, test_mode=True),
    *_base_.three_crops,
    *_base_.pack,
]
