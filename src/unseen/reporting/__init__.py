"""From run folders to statistics, tables, figures and one page. Knows no torch and no network."""
