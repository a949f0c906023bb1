"""The detached signature over a package's manifest, made in this process.

Apple wants a DER CMS over the exact bytes of the manifest, with the leaf and the
intermediate that issued it, and the signed attributes content-type, message-digest and
signing-time.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from walletsvc.apple.identity import SigningKey, issuer_of
from walletsvc.core.errors import ConfigurationError


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
        self._certificate = certificate
        self._key = key
        self._issuer = issuer
        self._hash = hashes.SHA256()

    def sign(self, manifest: bytes) -> bytes:
        """The DER signature over `manifest`, timed now."""
        # set_data comes first: it forgets certificates that were added before it.
        return (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(self._certificate, self._key, self._hash)
            .add_certificate(self._issuer)
            .sign(Encoding.DER, self._OPTIONS)
        )
