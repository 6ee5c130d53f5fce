-- A deterministic table of :rows customers, ten columns, a little over 100 bytes a row as text.
set client_min_messages = warning;
drop table if exists customers;
create table customers as
select g::bigint                                                        as id,
       'user' || g || '@' || (array['example.org', 'example.com', 'mail.test'])[1 + g % 3] as email,
       (array['Ada', 'Grace', 'Linus', 'Edsger', 'Barbara', 'Donald', 'Frances'])[1 + g % 7]  as first_name,
       (array['Lovelace', 'Hopper', 'Torvalds', 'Dijkstra', 'Liskov'])[1 + g % 5]             as last_name,
       (array['DE', 'FR', 'US', 'JP', 'BR', 'IN'])[1 + g % 6]           as country,
       (array['free', 'team', 'business'])[1 + g % 3]                   as plan,
       round((g % 100000) * 1.37 + 0.05, 2)                             as lifetime_value,
       (g % 400)::int                                                   as orders,
       g % 11 = 0                                                       as newsletter,
       timestamptz '2026-01-01 00:00:00+00' + (g % 500000) * interval '61 seconds' as updated_at
from generate_series(1, :rows) g;
alter table customers add primary key (id);
vacuum (freeze, analyze) customers;
checkpoint;
