import { AxiosError } from "axios@^1.0.0"

export const languages = ['en']
export default (name) => (AxiosError.name === 'AxiosError' ? `Hello ${name}` : '')
