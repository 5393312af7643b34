"""From answers to print: figures and the report. Only this room knows matplotlib."""
