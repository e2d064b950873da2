/** The sign of the house: a gate within a gate. */

export function Brand() {
  return (
    <svg class="brand-sign" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" />
      <path d="M7 25V13.5a9 9 0 0 1 18 0V25M12 25V14.5a4 4 0 0 1 8 0V25" />
    </svg>
  );
}
