--! flags allow-oom
--! uses prelude window factor place move server same check watch take
-- claim: leases the fairest runnable batch, tokens taken, or says when to ask again. Runs when memory is
-- full: it takes next to none, and only what is claimed and settled gives memory back.
-- ARGV: clock, worker, token, lease_ms, mono_ms, n, (destination, fingerprint)*
return claim(2)
