/** A choice in a form. */
export interface Option {
  readonly value: string;
  readonly label: string;
}
