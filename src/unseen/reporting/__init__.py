"""From run folders to the answer: statistics, tables, figures and one page. Knows no torch and no network."""
