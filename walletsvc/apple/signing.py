"""The detached signature over a package's manifest, made in this process.

Apple wants a DER CMS over the exact bytes of the manifest, with the leaf and the
intermediate that issued it, and the signed attributes content-type, message-digest and
signing-time.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from walletsvc.apple.identity import SigningKey, issuer_of
from walletsvc.core.errors import ConfigurationError

# One signer as the builder takes it: certificate, key, digest, padding (its default).
_SignerEntry = tuple[x509.Certificate, SigningKey, pkcs7.PKCS7HashTypes, PSS | PKCS1v15 | None]


class Signer:
    """Signs manifests for one pass type; safe to share between threads."""

    # Binary: without it newlines are rewritten and a manifest that holds one fails to verify.
    # NoCapabilities: the S/MIME capabilities of a mail program say nothing to a wallet.
    _OPTIONS = (
        pkcs7.PKCS7Options.DetachedSignature,
        pkcs7.PKCS7Options.Binary,
        pkcs7.PKCS7Options.NoCapabilities,
    )

    def __init__(
        self, certificate: x509.Certificate, key: SigningKey, chain: Sequence[x509.Certificate]
    ) -> None:
        """`chain` holds the leaf's issuer; anything else in it is left out of signatures.

        Raises ConfigurationError when the issuer is not there.
        """
        issuer = issuer_of(certificate, chain)
        if issuer is None:
            raise ConfigurationError(
                "The intermediate certificate that issued the signing certificate is missing."
            )
        self._signers: list[_SignerEntry] = [(certificate, key, hashes.SHA256(), None)]
        self._certificates = [issuer]

    def sign(self, manifest: bytes) -> bytes:
        """The DER signature over `manifest`, timed now."""
        # All at once: built up step by step, it checks and copies the same parts every time.
        builder = pkcs7.PKCS7SignatureBuilder(manifest, self._signers, self._certificates)
        return builder.sign(Encoding.DER, self._OPTIONS)
