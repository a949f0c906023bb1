"""Words to people outside a wallet: SMS and e-mail through gateways, and proofs of phones."""
