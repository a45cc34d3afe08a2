with other as (
    select coalesce((
        select collcollate from pg_collation
        where collprovider = 'c' and collcollate not in ('C', 'POSIX') and collcollate <> ''
            and collencoding in (-1, pg_char_to_encoding(getdatabaseencoding()))
        order by collcollate limit 1
    ), 'C') as locale
)
select set_config('timezone', $1, true), set_config('datestyle', $2, true),
       set_config('lc_numeric', locale, true), set_config('lc_time', locale, true),
       set_config('lc_monetary', locale, true), set_config('bytea_output', 'escape', true)
from other
