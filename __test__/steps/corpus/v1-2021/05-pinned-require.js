const axios = require('axios@0.21')
const { AxiosError } = require("axios")
return typeof axios.post + (axios.AxiosError === AxiosError)
