"""What people see of a simulation: tables, pictures, and one page in HTML."""
