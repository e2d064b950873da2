"""The devices as the school manages them."""
