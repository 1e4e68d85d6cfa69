# The baseline, trained by frame_average_tiny_motion, on class names that it has never seen.
#   mim test mmxclip configs/frame_average_tiny_motion_zeroshot.py \
#       --checkpoint work_dirs/frame_average_tiny_motion/epoch_10.pth
_base_ = './xclip_tiny_motion_zeroshot.py'

model = dict(neck=dict(_delete_=True, type='FrameAverage'))
