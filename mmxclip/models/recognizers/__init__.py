"""Wiring of backbone, neck and head."""

from mmxclip.models.recognizers.xclip import XCLIP

__all__ = ['XCLIP']
