# A model trained by xclip_tiny_motion on class names that it has never seen.
#   mim test mmxclip configs/xclip_tiny_motion_zeroshot.py \
#       --checkpoint work_dirs/xclip_tiny_motion/epoch_10.pth
_base_ = './xclip_tiny_motion.py'

model = dict(cls_head=dict(classes='motion_unseen'))

test_dataloader = dict(dataset=dict(split='unseen'))
