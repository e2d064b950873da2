"""What is shown: intake gate, conversion, variants, library, class rooms."""
