-- How each import ends. Not to be run alone.

\if :dry_run
  ROLLBACK;
  \echo 'DRY RUN: nothing was changed. With -v dry_run=off it is done.'
\else
  COMMIT;
  \echo 'Done.'
\endif
