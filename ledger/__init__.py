"""What is proven: credentials, Merkle batches, contract, chain, IPFS, verification."""
