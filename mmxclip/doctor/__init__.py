"""What is missing for a run, found before it starts."""

from mmxclip.doctor.examine import examine
from mmxclip.doctor.finding import Finding

__all__ = ['Finding', 'examine']
