# 16 frames of 336 pixels: a random one of each segment in training; 1 view to validate,
# 4 x 3 to test.
_base_ = './video_336.py'

train_pipeline = [
    _base_.open_train,
    dict(type='SegmentSampleFrames', clip_len=16),
    *_base_.augmentation,
    *_base_.pack,
]
val_pipeline = [
    _base_.open_test,
    dict(type='SegmentSampleFrames', clip_len=16, test_mode=True),
    *_base_.centre,
    *_base_.pack,
]
test_pipeline = [
    _base_.open_test,
    dict(type='SegmentSampleFrames', clip_len=16, num_clips=4, test_mode=True),
    *_base_.three_crops,
    *_base_.pack,
]
