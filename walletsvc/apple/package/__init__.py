"""A pass as Apple Wallet takes it: pass.json, images, texts, manifest, signature, ZIP."""

from walletsvc.apple.package.build import (
    PassIdentity,
    Prepared,
    build,
    compose,
    image_path,
    prepare,
)
from walletsvc.apple.package.model import WalletPass

__all__ = ["PassIdentity", "Prepared", "WalletPass", "build", "compose", "image_path", "prepare"]
