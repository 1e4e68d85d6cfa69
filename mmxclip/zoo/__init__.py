"""The models of X-CLIP: their size and cost, and what is published of them."""

from mmxclip.zoo.published import (
    PublishedModel,
    PublishedResult,
    published,
    published_models,
    results_of,
)

__all__ = ['PublishedModel', 'PublishedResult', 'published', 'published_models', 'results_of']
