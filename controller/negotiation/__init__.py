"""The negotiation plane's pure core: wallets, the ledger, prices, quotes, agreements."""
