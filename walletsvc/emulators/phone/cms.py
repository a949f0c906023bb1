"""The `signature` of a pass: a detached CMS SignedData (RFC 5652), read and verified here.

The structures are declared and decoded as strict DER, so that a lax encoding is an error and
not a guess. Nothing of the product's signing code is used: this is the other side of it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from walletsvc.emulators.phone.errors import PackageRefused

_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_TIME = "1.2.840.113549.1.9.5"

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "1.3.14.3.2.26": hashes.SHA1(),  # noqa: S303 (passes of 2015 are signed so and still open)
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}

# What a damaged or forged certificate can make the library raise; they share no base.
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@asn1.sequence
class _Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Attribute:
    oid: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _SignerId:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _SignerInfo:
    version: int
    signer: _SignerId
    digest: _Algorithm
    signed: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(0)]
    algorithm: _Algorithm
    signature: bytes
    unsigned: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class _Content:
    type: x509.ObjectIdentifier
    content: Annotated[bytes | None, asn1.Explicit(0)]


@asn1.sequence
class _SignedData:
    version: int
    digests: asn1.SetOf[_Algorithm]
    content: _Content
    certificates: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    revocations: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    type: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@dataclass(frozen=True)
class Signature:
    """A signature that verified: who signed, when, and what certificates came along."""

    leaf: x509.Certificate
    certificates: tuple[x509.Certificate, ...]
    signed_at: datetime
    digest: str


def verify(signature: bytes, content: bytes) -> Signature:
    """Check a detached signature over `content`; raises PackageRefused saying what is wrong.

    Who the signer is and whether the chain is trusted is not looked at here.
    """
    data = _decode(signature)
    if data.content.content is not None:
        raise PackageRefused("signature: the manifest is embedded; it must be detached")
    certificates = _certificates(data)
    signers = data.signers.as_list()
    if len(signers) != 1:
        raise PackageRefused(f"signature: has {len(signers)} signers instead of one")
    signer = signers[0]
    leaf = _leaf(signer, certificates)
    digest = _DIGESTS.get(signer.digest.oid.dotted_string)
    if digest is None:
        raise PackageRefused(f"signature: unknown digest {signer.digest.oid.dotted_string}")
    signed_at = _check_attributes(signer, content, digest)
    _check_signature(signer, leaf, digest)
    return Signature(leaf, tuple(certificates), signed_at, digest.name)


def _decode(signature: bytes) -> _SignedData:
    try:
        info = asn1.decode_der(_ContentInfo, signature)
    except ValueError as error:
        raise PackageRefused(f"signature: is not a DER CMS SignedData ({error})") from error
    if info.type.dotted_string != _SIGNED_DATA or info.content.content.type.dotted_string != _DATA:
        raise PackageRefused("signature: is not CMS SignedData over data")
    return info.content


def _certificates(data: _SignedData) -> list[x509.Certificate]:
    if data.certificates is None:
        raise PackageRefused("signature: contains no certificates")
    certificates: list[x509.Certificate] = []
    try:
        for tlv in data.certificates.as_list():
            certificate = x509.load_der_x509_certificate(asn1.encode_der(tlv))
            # The parts are parsed when asked for: ask here, where it is known what is wrong.
            _ = (certificate.subject, certificate.issuer, certificate.extensions)
            certificate.public_key()
            certificates.append(certificate)
    except _UNREADABLE as error:
        raise PackageRefused(f"signature: holds an unreadable certificate ({error})") from error
    return certificates


def _leaf(signer: _SignerInfo, certificates: list[x509.Certificate]) -> x509.Certificate:
    issuer = asn1.encode_der(signer.signer.issuer)
    for certificate in certificates:
        if (
            certificate.serial_number == signer.signer.serial
            and certificate.issuer.public_bytes() == issuer
        ):
            return certificate
    raise PackageRefused("signature: the signer's certificate is not among those in it")


def _check_attributes(
    signer: _SignerInfo, content: bytes, digest: hashes.HashAlgorithm
) -> datetime:
    attributes: dict[str, asn1.TLV] = {}
    for attribute in signer.signed.as_list() if signer.signed is not None else []:
        values = attribute.values.as_list()
        if len(values) != 1 or attribute.oid.dotted_string in attributes:
            raise PackageRefused("signature: a signed attribute does not have exactly one value")
        attributes[attribute.oid.dotted_string] = values[0]
    for oid, name in (
        (_CONTENT_TYPE, "content-type"),
        (_MESSAGE_DIGEST, "message-digest"),
        (_SIGNING_TIME, "signing-time"),
    ):
        if oid not in attributes:
            raise PackageRefused(f"signature: the signed attribute {name} is missing")
    try:
        kind = attributes[_CONTENT_TYPE].parse(x509.ObjectIdentifier)
        claimed = attributes[_MESSAGE_DIGEST].parse(bytes)
        signed_at = _time(attributes[_SIGNING_TIME])
    except ValueError as error:
        raise PackageRefused(f"signature: a signed attribute is malformed ({error})") from error
    if kind.dotted_string != _DATA:
        raise PackageRefused("signature: the attribute content-type is not data")
    if not hmac.compare_digest(claimed, hashlib.new(digest.name, content).digest()):
        raise PackageRefused("signature: message-digest is not that of manifest.json")
    return signed_at


def _time(tlv: asn1.TLV) -> datetime:
    # RFC 5652, 11.3: two-digit years until 2049, four digits from then on.
    kind = asn1.UTCTime if tlv.tag_bytes == b"\x17" else asn1.GeneralizedTime
    moment: datetime = tlv.parse(kind).as_datetime()
    return moment


def _check_signature(
    signer: _SignerInfo, leaf: x509.Certificate, digest: hashes.HashAlgorithm
) -> None:
    # RFC 5652, 5.4: what is signed are the attributes as a plain SET OF, not as tag [0].
    signed = asn1.encode_der(signer.signed)
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signer.signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signer.signature, signed, ec.ECDSA(digest))
        else:
            raise PackageRefused("signature: made with a kind of key Wallet does not know")
    except InvalidSignature as error:
        raise PackageRefused(
            "signature: does not verify under the signing certificate's key"
        ) from error
