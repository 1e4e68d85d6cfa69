# The baseline beside xclip_tiny_motion: the same but for the neck, which averages frames.
#   mim train mmxclip configs/frame_average_tiny_motion.py
_base_ = './xclip_tiny_motion.py'

model = dict(neck=dict(_delete_=True, type='FrameAverage'))
