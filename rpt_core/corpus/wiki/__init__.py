"""Wikipedia dumps as text: pages, wikitext, and templates as each edition shows them."""
