"""What a study leaves behind: tables as CSV and Markdown, figures as PNG, and one page of HTML."""
