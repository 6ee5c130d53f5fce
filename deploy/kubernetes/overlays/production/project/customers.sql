select id, email, first_name from customers
